"""What the ledger tells whoever watches: of each policy its last runs, and what is at work now.

Cheap however long the ledger is: of its rows only the newest of each policy are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, func, select

from ..catalog.model import points_copied
from ..catalog.schema import archives, clone_steps, clones, namespaces
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


def _records_of_archives(
    connection: Connection, organization_id: str | None
) -> Iterator[PolicyRecord]:
    """An archive is read back before it is `ready`, so that its success is its proof."""
    newest = _newest_archives(connection, organization_id)
    done = _newest_archives(connection, organization_id, archives.c.finished_at.is_not(None))
    there = [archives.c.status == "ready", *_of_policies(organization_id)]
    keys = (archives.c.organization_id, archives.c.policy)
    live: Counter[_Key] = Counter()
    tests: dict[_Key, Mapping[str, Any]] = {}
    ready = select(*keys, archives.c.restore_test).where(*there)
    for owner, policy, test in connection.execute(ready):
        live[owner, policy] += 1
        if test and test["tested_at"] > tests.get((owner, policy), _NEVER)["tested_at"]:
            tests[owner, policy] = test
    for key, row in newest.items():
        success = done.get(key, _NOTHING)
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
            **_tested(tests.get(key)),
        )


def _outcome_of_archive(row: Mapping[str, Any]) -> Outcome | None:
    if row["finished_at"] is not None:
        return "published"
    return None if row["status"] == "writing" else "failed"


def _newest_archives(
    connection: Connection, organization_id: str | None, *where: ColumnElement[bool]
) -> dict[_Key, Mapping[str, Any]]:
    """Of each policy the one that was begun last."""
    last = (
        select(func.max(archives.c.archive_key))
        .where(*_of_policies(organization_id), *where)
        .group_by(archives.c.organization_id, archives.c.policy)
    )
    rows = connection.execute(select(archives).where(archives.c.archive_key.in_(last))).mappings()
    return {(row["organization_id"], row["policy"]): dict(row) for row in rows}


def _of_policies(organization_id: str | None) -> list[ColumnElement[bool]]:
    mine: list[ColumnElement[bool]] = [archives.c.policy.is_not(None)]
    if organization_id is not None:
        mine.append(archives.c.organization_id == organization_id)
    return mine


_NOTHING: Mapping[str, Any] = dict.fromkeys(("finished_at", "proven", "points", "bytes", "seconds"))
# What a clone's status is called where that of an archive has another word.
_AS_OF_CLONES = {"writing": "cloning", "removing": "discarded", "removed": "discarded"}


def _records_of_clones(connection: Connection, organization_id: str | None) -> list[PolicyRecord]:
    newest = _newest(connection, organization_id)
    published = _newest(connection, organization_id, clones.c.phase == "published")
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
                **_success(connection, done),
                **_tested(tests.get(key)),
            )
        )
    return found


def at_work(connection: Connection, organization_id: str | None) -> AtWork:
    """What is not finished, in an organization or in all."""
    columns = (clones.c.clone_id, clones.c.status, clones.c.phase, clones.c.plan)
    query = select(*columns).where(
        clones.c.status.in_(("cloning", "failed")), *_within(organization_id)
    )
    found = AtWork()
    for row in connection.execute(query).mappings():
        if row["status"] == "failed":
            found.failed += 1
            continue
        done = read_reports(connection, row["clone_id"])
        ahead = STEPS if row["phase"] == "queued" else STEPS[1:]
        found.steps[next((step for step in ahead if step not in done), STEPS[-1])] += 1
        found.points += points_copied(connection, row["clone_id"])
        found.points_planned += row["plan"]["counts"]["points"]
    return found


_Key = tuple[str, str]


def _within(organization_id: str | None) -> list[ColumnElement[bool]]:
    return [] if organization_id is None else [clones.c.organization_id == organization_id]


def _newest(
    connection: Connection, organization_id: str | None, *where: ColumnElement[bool]
) -> dict[_Key, Mapping[str, Any]]:
    """Of each policy the clone that was planned last, out of the index alone; then its row."""
    of_policies = [clones.c.policy.is_not(None), *_within(organization_id), *where]
    keys = (clones.c.organization_id, clones.c.policy)
    last = (
        select(*keys, func.max(clones.c.created_at).label("created_at"))
        .where(*of_policies)
        .group_by(*keys)
        .subquery()
    )
    wanted = (
        *("clone_id", "purpose", "status", "request", "points", "created_at", "finished_at"),
        *("namespace_name", "phase", "error"),
    )
    query = select(*keys, *(clones.c[name] for name in wanted)).join(
        last,
        and_(
            clones.c.organization_id == last.c.organization_id,
            clones.c.policy == last.c.policy,
            clones.c.created_at == last.c.created_at,
        ),
    )
    rows = connection.execute(query.where(*of_policies)).mappings()
    return {(row["organization_id"], row["policy"]): dict(row) for row in rows}


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


def _success(connection: Connection, done: Mapping[str, Any] | None) -> dict[str, Any]:
    if done is None:
        return {}
    # When it is discarded, that is when it was finished with.
    moment = done["finished_at"] if done["status"] == "ready" else done["created_at"]
    query = select(clone_steps.c.report).where(
        clone_steps.c.clone_id == done["clone_id"], clone_steps.c.step == "publish_clone"
    )
    stored = connection.execute(query).scalar()
    report = None if stored is None else StepReport.from_json(stored)
    return {
        "succeeded_at": moment,
        "proven_at": moment if done["request"]["verify"] == "full" else None,
        "points": done["points"],
        "bytes": report and report.bytes,
        "seconds": getattr(report and report.output, "seconds_in_all", None),
    }


def _live(connection: Connection, organization_id: str | None) -> Counter[_Key]:
    """How many namespaces that were made for a policy are there."""
    query = (
        select(clones.c.organization_id, clones.c.policy, func.count())
        .join(namespaces, namespaces.c.clone_id == clones.c.clone_id)
        .where(
            clones.c.policy.is_not(None),
            namespaces.c.role == "live",
            namespaces.c.clone_status == "ready",
            *_within(organization_id),
        )
        .group_by(clones.c.organization_id, clones.c.policy)
    )
    return Counter({(row[0], row[1]): row[2] for row in connection.execute(query)})


def _restore_tests(
    connection: Connection, organization_id: str | None
) -> dict[_Key, Mapping[str, Any]]:
    """The last test of each policy's backups that are there: what was deleted restores nothing."""
    query = (
        select(clones.c.organization_id, clones.c.policy, clones.c.restore_test)
        .join(namespaces, namespaces.c.clone_id == clones.c.clone_id)
        .where(clones.c.policy.is_not(None), *_within(organization_id))
    )
    found: dict[_Key, Mapping[str, Any]] = {}
    for owner, policy, test in connection.execute(query):
        if test is not None and test["tested_at"] > found.get((owner, policy), _NEVER)["tested_at"]:
            found[owner, policy] = test
    return found


_NEVER = {"tested_at": ""}


def _tested(test: Mapping[str, Any] | None) -> dict[str, Any]:
    if test is None:
        return {}
    moment = datetime.fromisoformat(test["tested_at"].replace("Z", "+00:00"))
    good = bool(test["good"])
    return {
        "restore_tested_at": moment,
        "restorable": good,
        "restore_error": None if good else test.get("sentence"),
    }
