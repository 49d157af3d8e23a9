"""Publication: one transaction that makes a proven clone ready, or swaps it in. And back again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select, update

from . import ledger
from .catalog import namespaces as catalog
from .catalog.namespaces import Namespace
from .catalog.schema import clones, namespaces
from .discard import lock
from .errors import Conflict, InProgress, VerificationFailed
from .ledger import NO_HOLDER
from .report import STEPS, SUMMARY, StepReport
from .response import response_of
from .stores import Stores
from .work import Work

# The request identity of what is left of a refresh when its target is rolled back: no request's.
ROLLED_BACK = "rolled back"


def publish(work: Work) -> StepReport:
    """Makes the clone ready. Its report holds the `CloneNamespaceResponse`.

    Raises VerificationFailed when the sums of the steps are not what was counted in the target.
    """
    now = work.stores.clock()
    with work.lease.write() as connection:
        reports = ledger.read_reports(connection, work.clone.clone_id)
        summary = _summary(reports)
        _swap_in(connection, work, now)
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(
                status="ready",
                phase="published",
                error=None,
                seal=reports["verify_clone"].details["seal"],
                updated_at=now,
                finished_at=now,
                **NO_HOLDER,
            )
        )
        response = response_of(connection, work.clone, "ready", summary)
        connection.execute(
            update(clones).where(clones.c.clone_id == work.clone.clone_id).values(response=response)
        )
        report = _report(work, reports, response, now)
        return work.store(connection, report)


def _summary(reports: dict[str, StepReport]) -> dict[str, int]:
    """The sums of the steps' own counts, which must be what was counted in the target."""
    summed = dict.fromkeys(SUMMARY, 0)
    for report in reports.values():
        if report.step not in ("verify_clone", "publish_clone"):
            for name, count in report.counts.items():
                summed[name] += count
    counted = reports["verify_clone"].details["counted"]
    if summed != counted:
        raise VerificationFailed(
            f"The steps made {summed}, but the target holds {counted}; the clone is not published."
        )
    return summed


def _swap_in(connection: Connection, work: Work, now: datetime) -> None:
    mine = namespaces.c.namespace_key == work.clone.namespace_key
    role = connection.execute(select(namespaces.c.role).where(mine)).scalar_one()
    if role == "next":
        connection.execute(
            update(namespaces)
            .where(
                namespaces.c.organization_id == work.clone.organization_id,
                namespaces.c.namespace_name == work.clone.namespace_name,
                namespaces.c.role == "live",
            )
            .values(role="previous", updated_at=now)
        )
    connection.execute(
        update(namespaces).where(mine).values(role="live", clone_status="ready", updated_at=now)
    )


def _report(
    work: Work, reports: dict[str, StepReport], response: dict[str, Any], now: datetime
) -> StepReport:
    points = reports["copy_points"]
    return StepReport(
        clone_id=work.clone.clone_id,
        step="publish_clone",
        bytes=sum(report.bytes for report in reports.values()),
        details={
            "organization_id": work.clone.organization_id,
            "backup_policy": ledger.backup_policy(work.clone.policy, work.clone.request),
            "response": response,
            "seconds_in_all": round((now - work.clone.created_at).total_seconds(), 3),
            "points_per_second": points.details.get("points_per_second"),
            "proven": reports["verify_clone"].details["proven"],
            "steps": [
                {
                    "step": step,
                    "status": reports[step].status,
                    "created": reports[step].created,
                    "bytes": reports[step].bytes,
                    "seconds": reports[step].seconds,
                }
                for step in STEPS
                if step in reports
            ],
        },
        warnings=[
            *work.clone.plan["warnings"],
            *(text for report in reports.values() for text in report.warnings),
        ],
    )


def rollback(
    stores: Stores, organization_id: str | None, identifier: str, to: int | None = None
) -> Namespace:
    """Brings an earlier generation back, the one that was replaced last if `to` does not name one;
    the present one becomes a previous one.

    Said twice it goes back twice: only `to` brings back what was rolled back from. Policies that
    refresh the namespace are held from then on (see `resume_refreshes`), and what is left of a
    failed refresh is not gone on with: it was planned before. The expiry stays as it is.
    Raises NotFound, Conflict where there is nothing to go back to, InProgress while a refresh of
    the same name is being made.
    """
    now = stores.clock()
    with stores.catalog.write() as connection:
        found = catalog.resolve(connection, organization_id, identifier)
        # A sweep or a publication may be at it: what they leave is what counts.
        lock(
            connection,
            and_(
                namespaces.c.organization_id == found.organization_id,
                namespaces.c.namespace_name == found.name,
            ),
        )
        live = catalog.resolve(connection, found.organization_id, found.namespace_id)
        _set_unfinished_aside(connection, live, now)
        there = catalog.generations(connection, live.organization_id, live.name)
        back = rollback_target(live, there) if to is None else _generation(there, to)
        if back is None:
            raise Conflict(_no_way_back(live, there, to))
        held_at = now if back.generation < live.generation else None
        becomes = {"role": "live", "held_at": held_at, "expires_at": live.expires_at}
        for namespace, values in ((live, {"role": "previous", "held_at": None}), (back, becomes)):
            connection.execute(
                update(namespaces)
                .where(namespaces.c.namespace_key == namespace.key)
                .values(updated_at=now, **values)
            )
        return catalog.by_key(connection, back.key)


def _set_unfinished_aside(connection: Connection, live: Namespace, now: datetime) -> None:
    """So that nobody goes on with it: whoever asks for the same again has it discarded first."""
    unfinished = ledger.unfinished(connection, live.organization_id, live.name)
    if unfinished is None:
        return
    if unfinished.is_held(now):
        run = f"the run {unfinished.run_id}" if unfinished.run_id else "a run that waits to begin"
        raise InProgress(
            f"{live.name!r} is being replaced by {run}; wait for it, or cancel it first."
        )
    mine = clones.c.clone_id == unfinished.clone_id
    connection.execute(update(clones).where(mine).values(request_identity=ROLLED_BACK))


def resume_refreshes(stores: Stores, live: Namespace) -> None:
    """Lets the policies go on that refresh a namespace which was rolled back.

    Raises Conflict where another generation was put in its place meanwhile.
    """
    with stores.catalog.write() as connection:
        resumed = connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == live.key, namespaces.c.role == "live")
            .values(held_at=None)
        )
    if resumed.rowcount == 0:
        raise Conflict(f"{live.name!r} has just been replaced; look at it, and say so again.")


def rollback_target(live: Namespace, generations: Iterable[Namespace]) -> Namespace | None:
    """The earlier generation that was live last: `updated_at` says when one was replaced."""
    earlier = [one for one in generations if _is_kept(one) and one.generation < live.generation]
    return max(earlier, key=lambda namespace: namespace.updated_at, default=None)


def _is_kept(namespace: Namespace) -> bool:
    return namespace.role == "previous" and namespace.is_ready


def _generation(generations: Iterable[Namespace], number: int) -> Namespace | None:
    return next((one for one in generations if _is_kept(one) and one.generation == number), None)


def _no_way_back(live: Namespace, generations: Iterable[Namespace], to: int | None) -> str:
    kept = sorted(one.generation for one in generations if _is_kept(one))
    wanted = "previous generation" if to is None else f"generation {to}"
    sentence = f"{live.name!r} is generation {live.generation} and has no {wanted} to go back to."
    if not kept:
        return sentence
    return f"{sentence} Kept are: {', '.join(map(str, kept))}; `--to` brings one of them back."
