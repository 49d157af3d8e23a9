"""`keys`: API keys. They need access to the database only, so that a first key can be made."""

from datetime import timedelta
from typing import Any

import click

from clone_pipeline.cli.asking import confirm, yes_option
from clone_pipeline.cli.common import json_option, opened_stores, print_json
from clone_pipeline.cli.output import print_table
from clone_pipeline.core.catalog.keys import create_key, find_key, list_keys, revoke_key
from clone_pipeline.core.principal import ROLES


@click.group(no_args_is_help=False)
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@click.option("--organization", help="The key's organization; by default the only one there is.")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do.")
@click.option("--days", type=click.IntRange(1, 36500), help="It stops working after so many days.")
@json_option
def create(organization: str | None, role: str, days: int | None, as_json: bool) -> None:
    """Make a key. It is shown once."""
    with opened_stores() as (_, stores):
        now = stores.clock()
        expires_at = None if days is None else now + timedelta(days=days)
        api_key, key_id = create_key(stores.catalog, organization, role, now, expires_at)
    if as_json:
        print_json({"api_key": api_key, "key_id": key_id})
        return
    click.echo(api_key)
    click.echo(f"Key {key_id}; it is not shown again. Set it as CLONE_PIPELINE_API_KEY.", err=True)


@keys.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the keys, never the secrets."""
    with opened_stores() as (_, stores):
        found = list_keys(stores.catalog)
    if as_json:
        print_json(found)
    else:
        print_table("API keys", [_shown(key) for key in found])


@keys.command("revoke")
@click.argument("key_id")
@yes_option
@json_option
def revoke(key_id: str, yes: bool, as_json: bool) -> None:
    """Stop a key from working."""
    with opened_stores() as (_, stores):
        found = find_key(stores.catalog, key_id)
        whose = f"{found['role']} of {found['organization_id']}"
        confirm(
            lambda: f"Revoke {key_id} ({whose})? Whoever uses it is refused from then on.", yes=yes
        )
        revoke_key(stores.catalog, key_id, stores.clock())
    if as_json:
        print_json({"key_id": key_id, "revoked": True})
    else:
        click.echo(f"{key_id} is revoked.")


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    """Times to the second, which is what a line has room for."""
    return {
        name: value[:19].replace("T", " ") if name.endswith("_at") and value else value
        for name, value in key.items()
    }
