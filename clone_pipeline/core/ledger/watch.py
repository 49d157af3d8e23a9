"""What the ledger tells whoever watches: of each policy its last runs, and what is at work now.

Cheap however long the ledger is: of its rows only the newest of each policy are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, select

from ..catalog.model import points_copied
from ..catalog.schema import archives, clone_steps, clones, namespaces
from ..outputs import Published
from ..report import STEPS, StepReport
from .clones import BACKUP, read_reports

Outcome = Literal["published", "failed", "not proven"]


@dataclass(frozen=True)
class PolicyRecord:
    """The last runs of a policy, as far as there are any.

    `status` is that of the newest one: `cloning`, `ready`, `failed`, or `discarded` when what it
    made is gone. `outcome` is how that one ended, whatever became of it since: None while it is at
    work; `not proven` where it was copied, and the proof did not come to an end. `made` is the name
    of what it was to make, and `error` its sentence where it failed.

    `succeeded_at` is when the newest one that was published had been, and `proven_at` the same if
    every point of it was compared; `points`, `bytes` and `seconds` are of that one.

    `restore_tested_at` is when a backup of it was tested last, `restorable` what that test said:
    None where that backup is gone, because what was deleted restores nothing.
    """

    organization_id: str
    policy: str
    purpose: str | None
    begun_at: datetime
    status: str
    made: str = ""
    outcome: Outcome | None = None
    error: str | None = None
    succeeded_at: datetime | None = None
    proven_at: datetime | None = None
    points: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    live: int = 0
    restore_tested_at: datetime | None = None
    restorable: bool | None = None
    restore_error: str | None = None


@dataclass
class AtWork:
    """The clones that are not finished, together: how many are at which step, how many points they
    have copied, and how many they are to copy. `failed`: how many wait to be resumed."""

    steps: Counter[str] = field(default_factory=Counter)
    points: int = 0
    points_planned: int = 0
    failed: int = 0


def policy_records(connection: Connection, organization_id: str | None) -> list[PolicyRecord]:
    """Of every policy that ever had a clone or an archive, in an organization or in all. Of one
    that had both, because it was changed, what it made last."""
    found = {
        (one.organization_id, one.policy): one
        for one in _records_of_clones(connection, organization_id)
    }
    for one in _records_of_archives(connection, organization_id):
        key = one.organization_id, one.policy
        if key not in found or found[key].begun_at <= one.begun_at:
            found[key] = one
    return list(found.values())


_Key = tuple[str, str]


def _last(
    connection: Connection,
    table: Table,
    by: str,
    wanted: tuple[str, ...],
    organization_id: str | None,
    *where: ColumnElement[bool],
) -> dict[_Key, Mapping[str, Any]]:
    """Of each policy the row with the largest `by`: these columns of it."""
    rows = _last_of_each(connection, table, (), by, wanted, organization_id, *where)
    return {(row["organization_id"], row["policy"]): row for row in rows}


def _last_of_each(
    connection: Connection,
    table: Table,
    each: tuple[str, ...],
    by: str,
    wanted: tuple[str, ...],
    organization_id: str | None,
    *where: ColumnElement[bool],
) -> list[Mapping[str, Any]]:
    """The same of each policy and each value of further columns. Where an index has these columns
    and then `by`, no other row is read."""
    keys = [table.c[name] for name in ("organization_id", "policy", *each)]
    mine = [*_of_policies(table, organization_id), table.c[by].is_not(None), *where]
    last = select(*keys, func.max(table.c[by]).label("last")).where(*mine).group_by(*keys)
    found = last.subquery()
    this = [table.c[key.name] == found.c[key.name] for key in keys]
    query = select(*keys, *(table.c[name] for name in wanted)).join(
        found, and_(*this, table.c[by] == found.c.last)
    )
    return [dict(row) for row in connection.execute(query.where(*mine)).mappings()]


def _of_policies(table: Table, organization_id: str | None) -> list[ColumnElement[bool]]:
    return [table.c.policy.is_not(None), *_within(table, organization_id)]


def _within(table: Table, organization_id: str | None) -> list[ColumnElement[bool]]:
    return [] if organization_id is None else [table.c.organization_id == organization_id]


def _tested(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {}
    test = row["restore_test"] if row["is_there"] else None
    good = None if test is None else bool(test["good"])
    return {
        "restore_tested_at": row["tested_at"],
        "restorable": good,
        "restore_error": test.get("sentence") if test and not good else None,
    }


def last_restore_test(
    connection: Connection, organization_id: str, policy: str
) -> dict[str, Any] | None:
    """What the last restore test of a policy's backups said, also of one that is gone since; None
    where there was none."""
    found: list[tuple[datetime, dict[str, Any]]] = []
    for table in (clones, archives):
        mine = (*_within(table, organization_id), table.c.policy == policy)
        query = select(table.c.tested_at, table.c.restore_test).where(
            *mine, table.c.tested_at.is_not(None)
        )
        newest = query.order_by(table.c.tested_at.desc()).limit(1)
        found += [(row[0], row[1]) for row in connection.execute(newest)]
    return max(found, key=itemgetter(0))[1] if found else None


# ---- archives --------------------------------------------------------------------------------

# What a clone's status is called where that of an archive has another word.
_AS_OF_CLONES = {"writing": "cloning", "removing": "discarded", "removed": "discarded"}
_DONE = ("finished_at", "proven", "points", "bytes", "seconds")
_NOTHING: Mapping[str, Any] = dict.fromkeys(_DONE)


def _records_of_archives(
    connection: Connection, organization_id: str | None
) -> Iterator[PolicyRecord]:
    """An archive is read back before it is `ready`, so that its success is its proof."""
    begun = ("address", "status", "error", "created_at", "finished_at")
    is_done = archives.c.finished_at.is_not(None)
    newest = _last(connection, archives, "archive_key", begun, organization_id)
    done = _last(connection, archives, "archive_key", _DONE, organization_id, is_done)
    test = ("tested_at", "restore_test", "status")
    tests = _last(connection, archives, "tested_at", test, organization_id)
    live = _ready_archives(connection, organization_id)
    for key, row in newest.items():
        success, tested = done.get(key, _NOTHING), tests.get(key)
        yield PolicyRecord(
            organization_id=key[0],
            policy=key[1],
            purpose=BACKUP,
            begun_at=row["created_at"],
            status=_AS_OF_CLONES.get(row["status"], row["status"]),
            made=row["address"],
            outcome=_outcome_of_archive(row),
            error=row["error"],
            succeeded_at=success["finished_at"],
            proven_at=success["finished_at"] if success["proven"] else None,
            points=success["points"],
            bytes=success["bytes"],
            seconds=success["seconds"],
            live=live[key],
            **_tested(tested and {**tested, "is_there": tested["status"] == "ready"}),
        )


def _outcome_of_archive(row: Mapping[str, Any]) -> Outcome | None:
    if row["finished_at"] is not None:
        return "published"
    return None if row["status"] == "writing" else "failed"


def _ready_archives(connection: Connection, organization_id: str | None) -> Counter[_Key]:
    keys = (archives.c.organization_id, archives.c.policy)
    mine = [*_of_policies(archives, organization_id), archives.c.status == "ready"]
    query = select(*keys, func.count()).where(*mine).group_by(*keys)
    return Counter({(row[0], row[1]): row[2] for row in connection.execute(query)})


# ---- clones ----------------------------------------------------------------------------------


def _records_of_clones(connection: Connection, organization_id: str | None) -> list[PolicyRecord]:
    newest, published = _newest_clones(connection, organization_id)
    reports = _published(connection, [row["clone_id"] for row in published.values()])
    live = _live(connection, organization_id)
    tests = _restore_tests(connection, organization_id)
    found = []
    for key, row in newest.items():
        done = published.get(key)
        found.append(
            PolicyRecord(
                organization_id=key[0],
                policy=key[1],
                purpose=row["purpose"],
                begun_at=row["created_at"],
                status=row["status"],
                made=row["namespace_name"],
                outcome=outcome_of(connection, row),
                error=row["error"],
                live=live[key],
                **(_success(done, reports.get(done["clone_id"])) if done else {}),
                **_tested(tests.get(key)),
            )
        )
    return found


def _newest_clones(
    connection: Connection, organization_id: str | None
) -> tuple[dict[_Key, Mapping[str, Any]], dict[_Key, Mapping[str, Any]]]:
    """Of each policy the clone that was planned last, and the last one that was published."""
    wanted = (
        *("clone_id", "namespace_name", "purpose", "status", "error", "request", "points"),
        *("created_at", "finished_at"),
    )
    rows = _last_of_each(connection, clones, ("phase",), "created_at", wanted, organization_id)
    newest: dict[_Key, Mapping[str, Any]] = {}
    published: dict[_Key, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["created_at"]):
        key = row["organization_id"], row["policy"]
        newest[key] = row
        if row["phase"] == "published":
            published[key] = row
    return newest, published


def outcome_of(connection: Connection, row: Mapping[str, Any]) -> Outcome | None:
    """How a clone of the ledger ended; None while it is at work."""
    if row["phase"] == "published":
        return "published"
    if row["status"] == "cloning":
        return None
    # Whoever takes away what is left of it forgets the reports, and leaves the phase.
    at_proof = row["phase"] == "verifying"
    if at_proof and "verify_clone" not in read_reports(connection, row["clone_id"]):
        return "not proven"
    return "failed"


def _published(connection: Connection, clone_ids: list[str]) -> dict[str, StepReport]:
    query = select(clone_steps.c.clone_id, clone_steps.c.report).where(
        clone_steps.c.clone_id.in_(clone_ids), clone_steps.c.step == "publish_clone"
    )
    return {row[0]: StepReport.from_json(row[1]) for row in connection.execute(query)}


def _success(done: Mapping[str, Any], report: StepReport | None) -> dict[str, Any]:
    # When it is discarded, that is when it was finished with.
    moment = done["finished_at"] if done["status"] == "ready" else done["created_at"]
    published = report.output if report and isinstance(report.output, Published) else None
    # No point was read for it, so that the proof is of before.
    proven_at = (published and published.read_at) or moment
    return {
        "succeeded_at": moment,
        "proven_at": proven_at if done["request"]["verify"] == "full" else None,
        "points": done["points"],
        "bytes": report and report.bytes,
        "seconds": published and published.seconds_in_all,
    }


def _live(connection: Connection, organization_id: str | None) -> Counter[_Key]:
    """How many namespaces that were made for a policy are there. Not as a join, for which SQLite
    reads the whole of long rows: this it answers out of indexes alone."""
    keys = (clones.c.organization_id, clones.c.policy)
    is_there = exists().where(
        namespaces.c.clone_id == clones.c.clone_id,
        namespaces.c.role == "live",
        namespaces.c.clone_status == "ready",
    )
    query = select(*keys, func.count()).where(*_of_policies(clones, organization_id), is_there)
    rows = connection.execute(query.group_by(*keys))
    return Counter({(row[0], row[1]): row[2] for row in rows})


def _restore_tests(
    connection: Connection, organization_id: str | None
) -> dict[_Key, Mapping[str, Any]]:
    wanted = ("clone_id", "tested_at", "restore_test")
    tests = _last(connection, clones, "tested_at", wanted, organization_id)
    tested = [row["clone_id"] for row in tests.values()]
    query = select(namespaces.c.clone_id).where(namespaces.c.clone_id.in_(tested))
    there = set(connection.execute(query).scalars())
    return {key: {**row, "is_there": row["clone_id"] in there} for key, row in tests.items()}


# ---- at work ---------------------------------------------------------------------------------


def at_work(connection: Connection, organization_id: str | None) -> AtWork:
    """What is not finished, in an organization or in all."""
    mine = _within(clones, organization_id)
    failed = select(func.count()).where(clones.c.status == "failed", *mine)
    found = AtWork(failed=connection.execute(failed).scalar_one())
    columns = (clones.c.clone_id, clones.c.phase, clones.c.plan)
    cloning = select(*columns).where(clones.c.status == "cloning", *mine)
    for row in connection.execute(cloning).mappings():
        done = read_reports(connection, row["clone_id"])
        ahead = STEPS if row["phase"] == "queued" else STEPS[1:]
        found.steps[next((step for step in ahead if step not in done), STEPS[-1])] += 1
        found.points += points_copied(connection, row["clone_id"])
        found.points_planned += row["plan"]["counts"]["points"]
    return found
