"""The command `diff`."""

from collections.abc import Mapping
from typing import Any

import click

from clone_pipeline.cli.common import json_option, opened, print_json
from clone_pipeline.cli.naming import NAMESPACE
from clone_pipeline.cli.output import counted, print_table, say


@click.command()
@click.argument("first", metavar="A", type=NAMESPACE)
@click.argument("second", metavar="B", type=NAMESPACE)
@click.option(
    "--points/--no-points",
    default=True,
    show_default=True,
    help="Compare points too, which reads all of both.",
)
@json_option
def diff(first: str, second: str, points: bool, as_json: bool) -> None:
    """Show what differs between the namespaces A and B, by name and field.

    Ids are not compared, and of a clone not what was cleared when it was made. Says more than
    `verify` of what is where, and proves nothing.
    """
    # It brings the Qdrant client, which takes most of a second.
    from clone_pipeline.core.verify.diff import contrast

    with opened(to_look=True) as session:
        found = contrast(session.stores, session.organization_id, first, second, points=points)
    if as_json:
        print_json(found.to_json())
        return
    if not found.counts:
        say(f"Nothing differs between {first} and {second}.")
        return
    title = f"Differences (A is {first}, B is {second})"
    print_table(title, map(_line, found.to_json()["differences"]))
    say(f"{counted({'places': sum(found.counts.values())})} in all: {_by_kind(found.counts)}.")


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "what": f"{row['kind']} {row['name']}",
        "field": row["field"] or "(all of it)",
        "in A": _value(row["first"]),
        "in B": _value(row["second"]),
    }


def _value(value: str | None) -> str:
    return "(nothing)" if value is None else value


def _by_kind(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} in {kind}" for kind, count in counts.items())
