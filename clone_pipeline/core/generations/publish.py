"""Publication: one transaction that makes a proven clone ready, or swaps it in. And back again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..catalog.schema import clone_runs, clones, namespaces
from ..errors import Conflict, VerificationFailed
from ..ledger import clones as ledger
from ..ledger.backups import other_backups
from ..ledger.clones import NO_HOLDER
from ..ledger.digests import forget_digests
from ..ledger.response import response_of
from ..ledger.stored import left_alone
from ..ledger.work import Work
from ..outputs import CopiedPoints, Planned, Proof, Published
from ..refresh.quiet import Disturbed
from ..report import STEPS, SUMMARY, StepReport, size
from ..words import Hint, Option
from .delete import lock
from .unchanged import find_live, keep, remove_copy


def publish(work: Work) -> StepReport:
    """Makes the clone ready; where it has found nothing new, what is live stays. Its report holds
    the `CloneNamespaceResponse`.

    Raises VerificationFailed when the sums of the steps are not what was counted in the target;
    Disturbed where the clone has no points of its own, and what is live is not it any more.
    """
    now = work.stores.clock()
    with work.lease.write() as connection:
        reports = ledger.read_reports(connection, work.clone.clone_id)
        proof = Proof.among(reports)
        summary = _summary(reports, proof)
        clone, seal = work.clone, proof.seal
        live = _unchanged(connection, work, proof)
        if live is None:
            if work.leaves_alone:
                raise Disturbed
            _swap_in(connection, work, now)
        else:
            clone, seal = keep(connection, work, live, now)
        if before := other_backups(connection, work.clone):
            # The next backup begins with this one.
            forget_digests(connection, before)
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(
                status="ready",
                phase="published",
                error=None,
                seal=seal,
                points=summary["points"],
                objects=summary["objects"],
                updated_at=now,
                finished_at=now,
                **NO_HOLDER,
            )
        )
        response = response_of(connection, clone, "ready", summary)
        connection.execute(
            update(clones).where(clones.c.clone_id == clone.clone_id).values(response=response)
        )
        report = _report(connection, work, reports, response, now, unchanged=live is not None)
        report = work.store(connection, report)
    if live is not None:
        remove_copy(work.stores, str(live.clone_id), work.clone.namespace_key)
    return report


def _unchanged(connection: Connection, work: Work, proof: Proof) -> Namespace | None:
    """What is live, where the clone is not needed."""
    if not proof.unchanged:
        return None
    lock(connection, rows_named(work.clone.organization_id, work.clone.namespace_name))
    return find_live(connection, work)


def _summary(reports: dict[str, StepReport], proof: Proof) -> dict[str, int]:
    """The sums of the steps' own counts, which must be what was counted in the target."""
    summed = dict.fromkeys(SUMMARY, 0)
    for report in reports.values():
        if report.step not in ("verify_clone", "publish_clone"):
            for name, count in report.counts.items():
                summed[name] += count
    if summed != proof.counted:
        raise VerificationFailed(
            f"The steps made {summed}, but the target holds {proof.counted}; the clone is not "
            "published."
        )
    return summed


def _swap_in(connection: Connection, work: Work, now: datetime) -> None:
    mine = namespaces.c.namespace_key == work.clone.namespace_key
    role = connection.execute(select(namespaces.c.role).where(mine)).scalar_one()
    alias = work.request.alias
    if role == "next":
        named = rows_named(work.clone.organization_id, work.clone.namespace_name)
        lock(connection, named)
        replaced = _check_replaced(connection, work)
        if alias is None and replaced is not None:
            alias = replaced.qdrant_alias
        make_previous(connection, and_(named, namespaces.c.role == "live"), named, now)
        if replaced is not None and replaced.clone_id is not None:
            forget_digests(connection, [replaced.clone_id])
    connection.execute(
        update(namespaces)
        .where(mine)
        .values(role="live", clone_status="ready", qdrant_alias=alias, updated_at=now)
    )


def _check_replaced(connection: Connection, work: Work) -> Namespace | None:
    """What is live. The name may have been given up, and taken by another, since the plan was made.
    Raises Conflict."""
    clone = work.clone
    live = catalog.find_named(connection, clone.organization_id, clone.namespace_name)
    if live is not None:
        check_origin(connection, live, clone.source_namespace_id, bool(clone.request["adopt"]))
    return live


def rows_named(organization_id: str, name: str) -> ColumnElement[bool]:
    """All generations of a name."""
    return and_(
        namespaces.c.organization_id == organization_id, namespaces.c.namespace_name == name
    )


def make_previous(
    connection: Connection, live: ColumnElement[bool], named: ColumnElement[bool], now: datetime
) -> None:
    """The live generation becomes the one that was replaced last: counted, because a clock may say
    otherwise. The caller holds the rows of the name."""
    last = connection.execute(select(func.max(namespaces.c.turn)).where(named)).scalar()
    values = {"role": "previous", "turn": (last or 0) + 1, "held_at": None, "updated_at": now}
    connection.execute(update(namespaces).where(live).values(values))


def _begun(
    connection: Connection, work: Work, reports: dict[str, StepReport]
) -> tuple[int, datetime]:
    """How many runs the clone took, and when the last of them began: what was before, the pauses
    between them included, is not the time that it takes."""
    mine = clone_runs.c.clone_id == work.clone.clone_id
    query = select(clone_runs.c.run_id, clone_runs.c.created_at).where(mine)
    runs = {row.run_id: row.created_at for row in connection.execute(query)}
    planned = reports["plan_clone"].output if "plan_clone" in reports else None
    if isinstance(planned, Planned) and planned.run_id == work.clone.run_id:
        return len(runs), datetime.fromisoformat(planned.begun_at)
    return len(runs), runs.get(work.clone.run_id, work.clone.created_at)


def _report(
    connection: Connection,
    work: Work,
    reports: dict[str, StepReport],
    response: dict[str, Any],
    now: datetime,
    *,
    unchanged: bool,
) -> StepReport:
    copied = reports["copy_points"].output
    if not isinstance(copied, CopiedPoints):
        copied = CopiedPoints(None)  # points were not asked for
    runs, begun = _begun(connection, work, reports)
    quiet = left_alone(work.clone.plan) if unchanged else None
    return StepReport(
        clone_id=work.clone.clone_id,
        step="publish_clone",
        bytes=sum(report.bytes for report in reports.values()),
        output=Published(
            organization_id=work.clone.organization_id,
            backup_policy=work.clone.backup_policy,
            response=response,
            seconds_in_all=round((now - begun).total_seconds(), 3),
            runs=runs,
            points_in_this_run=copied.points_in_this_run,
            points_per_second=copied.points_per_second,
            proven=Proof.among(reports).proven,
            environment=work.stores.environment,
            changes=copied.changes,
            unchanged=unchanged,
            quiet_since=quiet["read_at"] if quiet else None,
            steps=[
                {
                    "step": step,
                    "status": reports[step].status,
                    "created": reports[step].created,
                    "size": size(reports[step].bytes),
                    "seconds": reports[step].seconds,
                }
                for step in STEPS
                if step in reports
            ],
        ),
        warnings=[
            *work.clone.plan["warnings"],
            *(
                text
                for report in reports.values()
                if report.step != "plan_clone"  # the plan's own
                for text in report.warnings
            ),
        ],
    )


def replaced_in(previous: Namespace) -> tuple[int, int]:
    """By this, previous generations of a name stand in the order in which they were replaced."""
    return previous.turn or 0, previous.generation


def check_origin(
    connection: Connection, live: Namespace, source_namespace_id: str, adopt: bool
) -> bool:
    """Whether the namespace whose place a clone of that source takes is somebody else's.

    Asked when the clone is planned, and again when it is put in. Raises Conflict where it is, and
    is not to be adopted.
    """
    query = select(clones.c.source_namespace_id).where(clones.c.clone_id == live.clone_id)
    origin = connection.execute(query).scalar()
    if live.adopted_at is not None:
        raise Conflict(
            f"{live.name!r} is an adopted Qdrant collection, which nothing replaces; choose "
            "another name",
            Hint(", or `clone-pipeline release` it first"),
            ".",
        )
    foreign = bool(origin != source_namespace_id)
    if foreign and not adopt:
        what = "was not made by clone-pipeline" if origin is None else f"is a clone of {origin}"
        raise Conflict(
            f"{live.name!r} {what}, not a clone of {source_namespace_id}; to replace it all the "
            "same, set ",
            Option("adopt", "true"),
            ".",
        )
    return foreign
