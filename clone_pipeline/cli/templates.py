"""`templates`: configurations that are kept as sources, listed and deleted."""

from typing import Any

import click

from clone_pipeline.cli.asking import confirm, yes_option
from clone_pipeline.cli.common import json_option, opened, print_json
from clone_pipeline.cli.output import print_table
from clone_pipeline.core.generations.templates import delete_template, list_templates, read_template

_LISTED = ("template_id", "name", "description", "source_resource_id", "created_at")


@click.group(no_args_is_help=False)
def templates() -> None:
    """List and delete templates of namespaces; the HTTP API makes them."""


@templates.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the templates, newest first."""
    with opened() as session, session.stores.catalog.read() as connection:
        found = list_templates(connection, session.principal)
    rows = [{name: template[name] for name in _LISTED} for template in found]
    if as_json:
        print_json(rows)
    else:
        print_table("Templates", map(_line, rows))


@templates.command("delete")
@click.argument("template_id", metavar="TEMPLATE")
@yes_option
@json_option
def delete(template_id: str, yes: bool, as_json: bool) -> None:
    """Delete a template, by its id. Namespaces that were made of it stay."""
    with opened() as session:
        session.must_write()
        with session.stores.catalog.read() as connection:
            found = read_template(connection, session.principal, template_id)
        made_of = f"the configuration of {found['source_resource_id']} as it was"
        question = f"Delete the template {found['name']!r} ({template_id}; {made_of})?"
        confirm(lambda: question, yes=yes)
        delete_template(session.stores, session.principal, template_id)
    if as_json:
        print_json({"template_id": template_id, "deleted": True})
    else:
        click.echo(f"The template {found['name']!r} ({template_id}) is deleted.")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "id": row["template_id"],
        "made of": row["source_resource_id"],
        "made at (UTC)": row["created_at"][:16].replace("T", " "),
        "description": row["description"],
    }
