"""What was made under one name, or for one policy, in order: for whoever looks back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from ..catalog import namespaces as catalog
from ..catalog.schema import clone_steps, clones
from ..errors import InvalidRequest, NotFound
from ..outputs import Published
from ..report import StepReport
from ..words import Hint
from .clones import Clone, get, read_reports
from .watch import Outcome, outcome_of

# More than can be told apart in a plot; the ledger has them all.
MOST = 100


@dataclass(frozen=True)
class Made:
    """One clone of a history. `outcome` is None while it is at work; `bytes` and `seconds` are
    known of one that was published, `quiet_since` of one that has read no point for it."""

    clone_id: str
    name: str
    status: str
    outcome: Outcome | None
    error: str | None
    begun_at: datetime
    finished_at: datetime | None
    proven: str | None
    points: int | None
    objects: int | None
    bytes: int | None
    seconds: float | None
    restore_test: dict[str, Any] | None
    quiet_since: datetime | None = None


@dataclass(frozen=True)
class Detail:
    """One of them as a whole: its row, and the reports of its steps."""

    clone: Clone
    reports: dict[str, StepReport]


@dataclass(frozen=True)
class History:
    """`made` are the newest `MOST` of `count`, oldest first. `shown` is the one to look at: the
    last that was published, else the last."""

    name: str
    policy: str | None
    organization_id: str
    count: int
    made: list[Made]
    shown: Detail

    @property
    def newest(self) -> Made:
        return self.made[-1]


def read_history(
    connection: Connection, organization_id: str | None, identifier: str, *, of_policy: bool = False
) -> History:
    """Of the clones that a namespace, by id or name, has had, also one that is deleted; else of the
    policy of that name, which `of_policy` asks for at once.

    Raises NotFound, InvalidRequest where the name stands in several organizations.
    """
    name, owner, policy = identifier, organization_id, None
    if not of_policy:
        found = catalog.find(connection, organization_id, identifier)
        if found is not None:
            name, owner = found.name, found.organization_id
    which = clones.c.namespace_name == name
    counted = {} if of_policy else _counted(connection, owner, which)
    if not counted:
        name, owner, policy = identifier, organization_id, identifier
        which = clones.c.policy == identifier
        counted = _counted(connection, owner, which)
    if not counted:
        raise NotFound(
            f"The ledger has no clone and no policy {identifier!r}",
            Hint("; `clone-pipeline list` shows the clones that there are"),
            ".",
        )
    owner, count = the_only_one(identifier, counted)
    newest = _newest_first(connection, owner, which)
    published = _published(connection, [row["clone_id"] for row in newest])
    made = [_made(connection, row, published.get(row["clone_id"])) for row in reversed(newest)]
    last = next((one for one in reversed(made) if one.outcome == "published"), made[-1])
    detail = Detail(get(connection, last.clone_id), read_reports(connection, last.clone_id))
    return History(name, policy, owner, count, made, detail)


def _counted(
    connection: Connection, organization_id: str | None, which: ColumnElement[bool]
) -> dict[str, int]:
    """How many there are, by organization."""
    query = select(clones.c.organization_id, func.count()).where(which)
    if organization_id is not None:
        query = query.where(clones.c.organization_id == organization_id)
    rows = connection.execute(query.group_by(clones.c.organization_id))
    return {row[0]: row[1] for row in rows}


def the_only_one(identifier: str, counted: dict[str, int]) -> tuple[str, int]:
    """The organization whose it is, and how many it has. Raises InvalidRequest for several."""
    if len(counted) > 1:
        raise InvalidRequest(
            f"{identifier!r} stands in several organizations ({', '.join(sorted(counted))}); use a "
            "key of one of them."
        )
    [found] = counted.items()
    return found


def _newest_first(
    connection: Connection, organization_id: str, which: ColumnElement[bool]
) -> list[Mapping[str, Any]]:
    """Without their plans, which are long."""
    columns = (
        *("clone_id", "namespace_name", "status", "phase", "error", "request", "created_at"),
        *("finished_at", "points", "objects", "restore_test"),
    )
    query = select(*(clones.c[name] for name in columns)).where(
        which, clones.c.organization_id == organization_id
    )
    ordered = query.order_by(clones.c.created_at.desc(), clones.c.clone_id.desc()).limit(MOST)
    return [dict(row) for row in connection.execute(ordered).mappings()]


def _published(connection: Connection, clone_ids: list[str]) -> dict[str, StepReport]:
    query = select(clone_steps.c.clone_id, clone_steps.c.report).where(
        clone_steps.c.step == "publish_clone", clone_steps.c.clone_id.in_(clone_ids)
    )
    return {row[0]: StepReport.from_json(row[1]) for row in connection.execute(query)}


def _made(connection: Connection, row: Mapping[str, Any], report: StepReport | None) -> Made:
    outcome = outcome_of(connection, row)
    output = report.output if report is not None else None
    return Made(
        clone_id=row["clone_id"],
        name=row["namespace_name"],
        status=row["status"],
        outcome=outcome,
        error=row["error"],
        begun_at=row["created_at"],
        finished_at=row["finished_at"],
        proven=row["request"]["verify"] if outcome == "published" else None,
        points=row["points"],
        objects=row["objects"],
        bytes=report.bytes if report is not None else None,
        seconds=output.seconds_in_all if isinstance(output, Published) else None,
        quiet_since=output.read_at if isinstance(output, Published) else None,
        restore_test=row["restore_test"],
    )
