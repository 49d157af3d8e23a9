"""The stream lane: points are read page by page, rewritten, and written.

A page's checkpoint is stored after its points are durable in the target. Killed in between, the
page is written once more, over itself: points keep their ids.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sqlalchemy import RowMapping, select, update

from ..catalog.schema import clone_slices
from ..errors import NoShardKey
from ..ledger.files import note_files
from ..ledger.work import Work
from ..references import Rewriter
from ..vectors.encoded import EncodedPage, EncodedPoint
from ..vectors.point import PointId, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import Slice
from .pages import CONCURRENT, for_each, read_slice
from .progress import Progress, Sampled
from .retry import Retry

if TYPE_CHECKING:
    from .sides import Sides


class Copier:
    """Copies the slices of one clone; with `only_read` it but reads them, for what the proof has to
    compare with."""

    def __init__(self, work: Work, sides: Sides, *, only_read: bool = False) -> None:
        self._work = work
        self._source = sides.source
        self._target = None if only_read else sides.target
        self._retry = sides.retry
        self._settled = sides.rule.settled
        self._sampled = work.request.verify == "sample"
        self._counting = threading.Lock()
        self.points = 0  # that were copied in this run

    def copy_all(self) -> None:
        """Every slice that is not done. Raises LeaseLost, StoreUnavailable, StorageFailed."""
        left = [row for row in read_slices(self._work) if not row["done"]]
        for_each(left, self._copy, workers(self._work, self._source), self._retry)

    def _copy(self, row: RowMapping) -> None:
        part = slice_of(row)
        progress = Progress.from_json(row["progress"])
        rewriter = self._work.new_rewriter()
        for page in self._pages(part, row["cursor"]):
            points = self._copy_page(part, page, progress, rewriter)
            store_slice(self._work, self._retry, part, progress, page.next, rewriter)
            with self._counting:
                self.points += points
            self._work.meter.add(points)

    def _pages(self, part: Slice, cursor: PointId | None) -> Iterator[EncodedPage]:
        name = self._work.source_collection
        try:
            yield from read_slice(self._source, name, part, self._retry, cursor)
        except NoShardKey as error:
            raise NoShardKey(
                f"The shard key {part.shard_key!r} of {name} was taken away while its points were "
                "copied; resume the clone, which goes on without it."
            ) from error

    def _copy_page(
        self, part: Slice, page: EncodedPage, progress: Progress, rewriter: Rewriter | None
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
            self._work.lease.check()
            target = part.within(self._target)
            target.write(self._work.clone.qdrant_collection, points, self._retry)
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
) -> None:
    """The checkpoint: what is durable in the target, and where to go on (None: it is done); with
    the files that `rewriter` has found there."""
    files = rewriter.take_files() if rewriter is not None else {}

    def store() -> None:
        with work.lease.write() as connection:
            note_files(connection, work.clone.clone_id, work.rewriter.ids, files)
            connection.execute(
                update(clone_slices)
                .where(
                    clone_slices.c.clone_id == work.clone.clone_id,
                    clone_slices.c.slice == part.index,
                )
                .values(
                    cursor=cursor,
                    points=progress.digest.count,
                    progress=progress.to_json(),
                    done=cursor is None,
                )
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


def workers(work: Work, store: VectorStore) -> int:
    """How many slices are worked on at once."""
    return 1 if store.embedded else work.request.concurrent_slices or CONCURRENT


def per_slice(
    work: Work, store: VectorStore, retry: Retry, function: Callable[[RowMapping], None]
) -> None:
    """Calls the function for every slice, several at once."""
    for_each(read_slices(work), function, workers(work, store), retry)
