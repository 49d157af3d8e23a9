"""The stream lane: points are read page by page, rewritten, and written.

A page's checkpoint is stored after its points are durable in the target. Killed in between, the
page is written once more, over itself: points keep their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, select, update

from ..catalog.schema import clone_slices
from ..errors import NoShardKey
from ..ledger.claims import NOBODY, Taken
from ..ledger.files import note_files
from ..ledger.work import Work
from ..ledger.worked import Hand
from ..references import Rewriter
from ..vectors.encoded import EncodedPage, EncodedPoint
from ..vectors.point import PointId, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import Slice
from .pages import for_each, read_slice, workers
from .progress import Progress, Sampled
from .retry import Retry
from .together import work_through

if TYPE_CHECKING:
    from .sides import Sides


class Copier:
    """Copies the slices of one clone; with `only_read` it but reads them, for what the proof has to
    compare with."""

    def __init__(self, work: Work, sides: Sides, *, only_read: bool = False) -> None:
        self._work, self._sides = work, sides
        self._source = sides.source
        self._target = None if only_read else sides.target
        self._retry = sides.retry
        self._settled = sides.rule.settled
        self._sampled = work.request.verify == "sample"

    def copy_all(self) -> None:
        """Every slice that is not done, beside others who do the same; to the end of all, unless
        this process only helps. Raises LeaseLost, StoreUnavailable, StorageFailed."""
        work_through(self._work, self._sides, "copy", self._copy)

    def _copy(self, taken: Taken) -> None:
        work, row = replace(self._work, lease=taken.claim), taken.row
        retry = self._retry.within(taken.claim)
        part, progress = slice_of(row), Progress.from_json(row["progress"])
        hand = Hand(taken.holder, work.stores.clock(), row["worked"])
        rewriter = self._work.new_rewriter()
        for page in self._pages(part, row["cursor"], retry):
            points = self._copy_page(work, part, page, progress, rewriter, retry)
            hand.points += points
            store_slice(work, retry, part, progress, page.next, rewriter, hand)
            work.meter.add(points)

    def _pages(self, part: Slice, cursor: PointId | None, retry: Retry) -> Iterator[EncodedPage]:
        name = self._work.source_collection
        try:
            yield from read_slice(self._source, name, part, retry, cursor)
        except NoShardKey as error:
            raise NoShardKey(
                f"The shard key {part.shard_key!r} of {name} was taken away while its points were "
                "copied; resume the clone, which goes on without it."
            ) from error

    def _copy_page(
        self,
        work: Work,
        part: Slice,
        page: EncodedPage,
        progress: Progress,
        rewriter: Rewriter | None,
        retry: Retry,
    ) -> int:
        """Returns how many points it has that belong to the slice."""
        points = []
        count = 0
        for point in page.points:
            add(
                progress,
                point,
                rewriter,
                settled=self._settled,
                sampled=self._sampled,
                shard_key=part.shard_key,
            )
            count += 1
            if self._target is not None:
                points.append(point)
        if self._target is not None and points:
            work.lease.check()
            target = part.within(self._target)
            target.write(work.clone.qdrant_collection, points, retry)
        return count


def add(
    progress: Progress,
    point: EncodedPoint,
    rewriter: Rewriter | None,
    *,
    settled: bool,
    sampled: bool = False,
    shard_key: ShardKey | None = None,
) -> int:
    """Rewrites a point of the source and counts it. Returns its digest.

    `settled`: with the floats of its payload settled.
    """
    if rewriter is not None:
        progress.add_found(point.rewrite(rewriter))
    # A field of somebody else's that is called so says nothing, and may have any number of values.
    foreign = rewriter is not None and rewriter.ids.foreign_payloads
    collection = "" if foreign else point.collection
    progress.collections[collection] += 1
    digest = point.digest(settled=settled)
    progress.digest.add(digest)
    if sampled:
        progress.put_aside(collection, Sampled(digest, point.id, shard_key))
    return digest


def store_slice(
    work: Work,
    retry: Retry,
    part: Slice,
    progress: Progress,
    cursor: PointId | None,
    rewriter: Rewriter | None,
    hand: Hand | None = None,
) -> None:
    """The checkpoint: what is durable in the target, and where to go on (None: it is done); with
    the files that `rewriter` has found there. The `hand` that copies it has it until it is done."""
    files = rewriter.take_files() if rewriter is not None else {}
    done = cursor is None
    values: dict[str, Any] = {"cursor": cursor, "points": progress.digest.count, "done": done}
    values["progress"] = progress.to_json()
    if hand is not None:
        values["worked"] = hand.worked(work.stores.clock())
        values |= NOBODY if done else {}

    def store() -> None:
        with work.lease.write() as connection:
            if rewriter is not None:
                note_files(connection, work.clone.clone_id, rewriter.ids, files)
            connection.execute(
                update(clone_slices)
                .where(
                    clone_slices.c.clone_id == work.clone.clone_id,
                    clone_slices.c.slice == part.index,
                )
                .values(values)
            )

    retry(store)


def read_slices(work: Work) -> list[RowMapping]:
    """The clone's rows of `clone_slices`, in the order of their ids."""
    query = (
        select(clone_slices)
        .where(clone_slices.c.clone_id == work.clone.clone_id)
        .order_by(clone_slices.c.slice)
    )
    with work.stores.catalog.read() as connection:
        return list(connection.execute(query).mappings())


def slice_of(row: RowMapping) -> Slice:
    return Slice.from_json(row["slice"], row["bounds"])


def read_progress(work: Work) -> Progress:
    """What all slices together have copied."""
    total = Progress()
    for row in read_slices(work):
        total.merge(Progress.from_json(row["progress"]))
    return total


def per_slice(
    work: Work, store: VectorStore, retry: Retry, function: Callable[[RowMapping], None]
) -> None:
    """Calls the function for every slice, several at once."""
    for_each(read_slices(work), function, workers(work, store), retry)
