"""The step `copy_points`: every point of the source, as it must stand in the clone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..ledger.work import Work
from ..outputs import Consistency
from ..report import StepReport
from ..vectors.equality import rule
from ..vectors.port import VectorStore
from .catchup import catch_up
from .collection import ensure_collection, to_stream
from .delta import DeltaGivenUp, Updater
from .pace import pace_of
from .pages import workers
from .quiet import leave_alone, read_after_all
from .reports import collections_of, native_report, report, warnings_of
from .retry import Retry
from .shard_keys import follow_shard_keys
from .sides import Sides
from .stream import Copier, read_progress, read_slices


def copy_points(work: Work) -> StepReport:
    """Makes the target's Qdrant collection and copies the points of every slice that is not done;
    then once more what the source has changed meanwhile.

    Raises LeaseLost when another run has taken over, StoreUnavailable, StorageFailed.
    """
    retry = retry_of(work)
    with work.stores.vectors() as target, work.source_vectors(target) as source:
        if not work.request.include_resources.collections:
            work, _ = ensure_collection(work, target, source, retry)
            return work.skip("copy_points", {"points": 0})
        base = work.clone.plan["base"]
        if base is not None and work.leaves_alone:
            if left := leave_alone(work, source, target, base, retry):
                return left
            work = read_after_all(work)
        if work.clone.plan["lane"] == "delta":
            try:
                return _copy(work, source, target, retry)
            except DeltaGivenUp as given_up:
                work = to_stream(work, given_up.reason)
                retry = retry_of(work)
        return _copy(work, source, target, retry)


def _copy(work: Work, source: VectorStore, target: VectorStore, retry: Retry) -> StepReport:
    """By the lane that the plan names. Raises DeltaGivenUp, and what `copy_points` does."""
    work, copied = ensure_collection(work, target, source, retry)
    name = work.clone.qdrant_collection
    if work.is_native:
        return native_report(work, retry(lambda: target.count(name)), copied)
    both = sides(work, source, target, retry)
    follow_shard_keys(work, both)
    done = sum(row["points"] for row in read_slices(work))
    base = work.clone.plan["base"]
    if base is None:
        work.begin_points("Copied", done)
        Copier(work, both).copy_all()
        points = sum(row["points"] for row in read_slices(work)) - done
    else:
        work.begin_points(f"Compared with {base['called']}", done)
        updater = Updater(work, both, base)
        updater.update_all()
        points = updater.points
    consistency = catch_up(work, both)
    # What was copied inside Qdrant has its index, and is being optimized: a server whose optimizer
    # is configured meanwhile brings back points that were deleted (1.18.3, measured).
    if base is None:
        retry(lambda: target.finish_loading(name, work.clone.plan["qdrant_config"]))
    how = {
        "transport": source.transport,
        "slices_at_once": workers(work, source),
        "waits": retry.waits,
        "seconds_waited": round(retry.seconds_waited, 1),
    }
    return report(work, points, consistency, how, copied)


def help_copying(work: Work) -> None:
    """What a process beside the run's does of it: slice after slice, until there is none for it.

    Raises what `copy_points` does.
    """
    with opened_to_help(work) as both:
        Copier(work, both).copy_all()


@contextmanager
def opened_to_help(work: Work) -> Iterator[Sides]:
    """The clone's two collections. Raises StoreUnavailable before a slice is taken from anybody."""
    with work.stores.vectors() as target, work.source_vectors(target) as source:
        for store, name in (
            (source, work.source_collection),
            (target, work.clone.qdrant_collection),
        ):
            store.exists(name)
        yield sides(work, source, target, retry_of(work))


def read_natively_copied(work: Work, both: Sides) -> tuple[Consistency, list[str]]:
    """For the proof of a native copy: reads the source, which the copy itself did not, and copies
    what has changed there since. Returns how consistent that was, and warnings."""
    work.begin_points("Read")
    Copier(work, both, only_read=True).copy_all()
    consistency = catch_up(work, both)
    return consistency, warnings_of(read_progress(work), collections_of(work), consistency)


def retry_of(work: Work) -> Retry:
    return Retry(work.stores, work.lease, pace_of(work))


def sides(work: Work, source: VectorStore, target: VectorStore, retry: Retry) -> Sides:
    """The two collections of a clone, to be compared."""
    return Sides(
        source=source,
        source_name=work.source_collection,
        target=target,
        target_name=work.target_collection,
        rewriter=work.new_rewriter(),
        rule=rule(target.embedded or source.embedded, work.clone.plan["qdrant_config"]),
        retry=retry,
        meter=work.meter,
    )
