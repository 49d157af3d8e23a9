"""Running one step of a clone: take the lease, do what is not done yet, report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from .catalog.schema import clones, namespaces
from .files.step import copy_files
from .generations.alias import settle_clone
from .generations.publish import publish
from .kinds import BUCKET, KINDS, ResourceKind
from .ledger import clones as ledger
from .ledger.lease import Lease, begin_attempt, step_out, superseded, take_over
from .ledger.meter import Meter
from .ledger.work import Work
from .points.quiet import read_after_all
from .points.step import copy_points
from .process import Holder
from .records.objects import clone_buckets
from .records.small import clone_small
from .refresh.quiet import Disturbed
from .report import StepReport
from .stores import Stores
from .verify import verify_clone


def _silent(_: object) -> None:
    return None


def run_step(
    stores: Stores,
    clone_id: str,
    run_id: str,
    step: str,
    *,
    process_goes_on: bool,
    tell: Callable[[str], None] = _silent,
    ended: frozenset[str] = frozenset(),
) -> StepReport:
    """The report of a step, which is done now unless the ledger says that it was done before.

    `step` is its op's name; `process_goes_on`: this process will run the run's next step too;
    `ended` are the runs that this one repeats, which are over.
    `tell` hears at least every half minute how far points are, from a thread of its own.
    Raises LeaseLost when another run has the clone, Conflict when it was discarded, and whatever
    the step raises.
    """
    report = _run(
        stores, clone_id, run_id, step, process_goes_on=process_goes_on, tell=tell, ended=ended
    )
    if step == "publish_clone":
        # After the catalog, and again where a run that has published it died before this.
        settle_clone(stores, clone_id)
    return report


def _run(
    stores: Stores,
    clone_id: str,
    run_id: str,
    step: str,
    *,
    process_goes_on: bool,
    tell: Callable[[str], None],
    ended: frozenset[str],
) -> StepReport:
    started = stores.clock()
    with stores.catalog.write() as connection:
        clone = ledger.get(connection, clone_id, lock=True)
        reports = ledger.read_reports(connection, clone_id)
        if clone.status == "ready" and step in reports:
            return replace(reports[step], resumed=True)
        if clone.run_id not in ended | {run_id}:
            # Queued for long: other runs have had the clone since.
            raise superseded()
        clone = take_over(connection, clone, run_id, Holder.current(), started, ended)
        attempt = begin_attempt(connection, clone_id, step)
    lease = Lease(stores, clone_id, clone.token, step, attempt)
    try:
        if step in reports:
            return replace(reports[step], resumed=True)
        work = Work(stores, clone, lease, started, Meter(stores.clock))
        if step != "publish_clone":  # which needs nothing of it any more
            work.refuse_gone()
        with lease.kept_alive(), work.meter.watched(tell, _note_of(work, step)):
            return _do(work, step, reports)
    finally:
        if clone.status == "failed" or not process_goes_on:
            step_out(lease)


def _note_of(work: Work, step: str) -> Callable[[int], None]:
    """How far the proof is, for other processes. Of what is copied the slices tell."""

    meter = work.meter

    def note(done: int) -> None:
        values: dict[str, Any] = {"points_proven": done}
        if meter.unit == "files":
            values = {"files": {"total": meter.total, "done": done, "bytes": meter.moved}}
        with work.lease.write() as connection:
            mine = clones.c.clone_id == work.clone.clone_id
            connection.execute(update(clones).where(mine).values(values))

    return note if step in ("copy_files", "verify_clone") else _silent


def clone_config(work: Work) -> StepReport:
    """Marks the start of the writing; the namespace's own row stands since the reservation."""
    document = work.planned_namespace()
    with work.lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(phase="copying", updated_at=work.stores.clock())
        )
        connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == work.clone.namespace_key)
            .values(document=document["document"])
        )
        report = StepReport(
            clone_id=work.clone.clone_id,
            step="clone_config",
            resources=[
                {key: document[key] for key in ("name", "source_id", "target_id")},
            ],
            details={
                "feature_extractors": len(document["document"].get("feature_extractors") or []),
                "payload_indexes": len(document["document"].get("payload_indexes") or []),
                "qdrant_collection": work.clone.qdrant_collection,
            },
        )
        return work.store(connection, report)


def clone_kind(work: Work, kind: ResourceKind) -> StepReport:
    """Clones one resource type, or says that it was not asked for."""
    if not work.request.includes(kind):
        return work.skip(kind.step, {kind.plural: 0})
    clone = clone_buckets if kind is BUCKET else clone_small
    return clone(work, kind)


def _clone_kind(kind: ResourceKind) -> Callable[[Work], StepReport]:
    return lambda work: clone_kind(work, kind)


_FUNCTIONS: dict[str, Callable[[Work], StepReport]] = {
    "clone_config": clone_config,
    **{kind.step: _clone_kind(kind) for kind in KINDS},
    "copy_points": copy_points,
    "copy_files": copy_files,
    "verify_clone": verify_clone,
    "publish_clone": publish,
}
# What is done first where it is not done any more: points that were left alone.
_BEFORE = {"verify_clone": "copy_points", "publish_clone": "verify_clone"}


def _do(work: Work, step: str, done: Collection[str]) -> StepReport:
    """The step, where the steps `done` are. Points that were left alone are copied after all, and
    proven, where something else has changed; also where that was cut off."""
    before = _BEFORE.get(step)
    if before is not None and before not in done:
        _do(work, before, done)
        with work.stores.catalog.read() as connection:
            work = replace(work, clone=ledger.get(connection, work.clone.clone_id))
    try:
        return _FUNCTIONS[step](work)
    except Disturbed:
        return _do(read_after_all(work), step, done=())
