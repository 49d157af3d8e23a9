"""`environments`: which ones there are, and whether each can be used."""

from datetime import datetime, timezone
from typing import Any

import click

from clone_pipeline.cli.common import BAD_INPUT, FAILED, json_option, print_json
from clone_pipeline.cli.output import print_table, say
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.deployment import find_where
from clone_pipeline.environments import Environments, read_environments
from clone_pipeline.environments.places import catalog_place, files_place, qdrant_place
from clone_pipeline.settings import Settings, load_settings

_MARKS = {
    "ok": ("  ok      ", "green"),
    "skipped": ("  skipped ", "dim"),
    "warning": ("  warning ", "yellow"),
    "failed": ("  failed  ", "bold red"),
}
_NAMES = {"settings": "settings", "catalog": "catalog", "qdrant": "Qdrant", "files": "S3"}


@click.group(no_args_is_help=False)
def environments() -> None:
    """List the environments of the file that CLONE_ENVIRONMENTS names, or check that they work."""


@environments.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the environments, and all that is wrong with the file. Needs no store.

    Exit code 2 means that something is wrong with the file.
    """
    settings = load_settings()
    known = read_environments(settings.environments)
    rows = [_row(settings, known, name) for name in known.names]
    if as_json:
        print_json({"environments": rows, "problems": [str(one) for one in known.problems]})
    else:
        print_table("Environments", rows)
    _end_if_broken(known, as_json=as_json)


@environments.command("check")
@click.argument("name", required=False)
@json_option
def check(name: str | None, as_json: bool) -> None:
    """Check every store of all environments, or of NAME, with the credentials that are given.

    A source is only read. Of what may be a target, each store is written for a moment: a row, a
    collection and a file, which are read back and removed.

    Exit code 2 means that something is wrong with the file; 1 that a store cannot be used.
    """
    # Late: it brings the clients of all stores.
    from clone_pipeline.probing import check_environments

    settings = load_settings()
    known = read_environments(settings.environments)
    if known.problems and as_json:
        print_json({"environments": [], "problems": [str(one) for one in known.problems]})
    _end_if_broken(known, as_json=as_json)
    names = known.names if name is None else [name]
    found = check_environments(settings, known, names, lambda: datetime.now(timezone.utc))
    if as_json:
        print_json({"environments": [one.to_json() for one in found], "problems": []})
    else:
        for one in found:
            _print(one)
    if any(one.failed for one in found):
        raise SystemExit(FAILED)


def _end_if_broken(known: Environments, *, as_json: bool) -> None:
    """All that is wrong with the file, on stdout as what `policies check` says."""
    if not known.problems:
        return
    if not as_json:
        for problem in known.problems:
            say(str(problem))
    raise SystemExit(BAD_INPUT)


def _row(settings: Settings, known: Environments, name: str) -> dict[str, Any]:
    try:
        where = find_where(settings, known, name)
    except InvalidRequest as error:
        return {"environment": name, "access": known.find(name).access, "catalog": error.message}
    return {
        "environment": name,
        "access": where.access,
        "catalog": catalog_place(where.catalog),
        "qdrant": qdrant_place(where.vectors),
        "copies of files": files_place(where.files),
    }


def _print(checked: Any) -> None:
    access = f" (access: {checked.access})" if checked.access else ""
    say((checked.name, "bold"), access)
    for one in checked.findings.all:
        say(_MARKS[one.level], f"{_NAMES[one.store]:<9}", one.sentence)
