"""The command `diff`."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import click

from clone_pipeline.cli.common import Session, json_option, opened, print_json
from clone_pipeline.cli.naming import chosen, split
from clone_pipeline.cli.output import counted, print_table, say


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--points/--no-points",
    default=True,
    show_default=True,
    help="Compare points too, which reads all of both.",
)
@json_option
def diff(first: str, second: str, points: bool, as_json: bool) -> None:
    """Show what differs between the namespaces A and B, by name and field.

    Ids are not compared, and of a clone not what was cleared when it was made. It also counts the
    points that only B has (inserted), that differ (changed), that only A has (deleted) and that are
    the same (unchanged). Says more than `verify` of what is where, and proves nothing. Each may be
    in an environment of its own.
    """
    # It brings the Qdrant client, which takes most of a second.
    from clone_pipeline.core.verify.diff import Looked, contrast

    with ExitStack() as stack:
        sessions: dict[str, Session] = {}
        sides = []
        for environment, name in (split(first), split(second)):
            where = environment or chosen().name
            if where not in sessions:
                sessions[where] = stack.enter_context(opened(to_look=True, environment=where))
            session = sessions[where]
            sides.append(Looked(session.stores, session.organization_id, name))
        found = contrast(*sides, points=points)
    if as_json:
        print_json(found.to_json())
        return
    if not found.counts:
        say(f"Nothing differs between {first} and {second}.")
        _say_points(found.points)
        return
    title = f"Differences (A is {first}, B is {second})"
    print_table(title, map(_line, found.to_json()["differences"]))
    say(f"{counted({'places': sum(found.counts.values())})} in all: {_by_kind(found.counts)}.")
    _say_points(found.points)


def _say_points(changes: Mapping[str, int] | None) -> None:
    if changes is not None:
        listed = ", ".join(f"{count:,} {what}" for what, count in changes.items())
        say(f"Points in B against A: {listed}.")


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
