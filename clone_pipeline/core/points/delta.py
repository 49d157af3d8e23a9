"""The lane `delta`: the copy of an earlier clone, the base, becomes the copy of the source.

The base has been copied inside Qdrant, with its index. The source is read once, slice by slice, and
rewritten; its points are held against the digests that were kept of the base's, and only what
differs is written or deleted. Where no digests were kept, the copy itself is read beside the
source.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import RowMapping, select

from ..catalog.schema import clone_slices
from ..difference import Differences
from ..ledger.digests import read_digests
from ..ledger.stored import StoredBase
from ..ledger.work import Work
from ..references import Rewriter
from ..vectors.encoded import EncodedPage, EncodedPoint
from ..vectors.point import PointId
from ..vectors.slices import Slice
from .compare import compare
from .known import Known, short
from .pages import for_each, read_slice, workers
from .progress import Progress
from .sides import Sides
from .stream import add, read_progress, read_slices, slice_of, store_slice

# Up to this share of changed points it was measured to be worth it (benchmarks/refresh.py).
MOST_CHANGED = 0.10
# So few are never too many.
FEW = 1000
# So many points are written at once, and as many deleted.
_BATCH = 256


class DeltaGivenUp(Exception):
    """The points have to be streamed after all. `reason` ends "..., because"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class _Writes:
    """What is to be written and deleted, and has not been yet. Of points that have changed `gone`
    has the old ones: a server that moves a point to another segment when it is written keeps the
    vectors, and the payload, that are not given (`upsert_points` of 1.18.3)."""

    points: list[EncodedPoint] = field(default_factory=list)
    gone: list[PointId] = field(default_factory=list)

    def __len__(self) -> int:
        return max(len(self.points), len(self.gone))


class Updater:
    """Brings the slices of one clone up to date.

    `points` counts those of the source that were gone through in this run.
    """

    def __init__(self, work: Work, sides: Sides, base: StoredBase) -> None:
        self._work = work
        self._sides = sides
        self._base = base
        self._base_slices = _slices(work, base["clone_id"])
        self._sampled = work.request.verify == "sample"
        self._counting = threading.Lock()
        self._changed = read_progress(work).changes.total()
        self.points = 0

    def update_all(self) -> None:
        """Every slice that is not done. Raises DeltaGivenUp where too much has changed, LeaseLost,
        StoreUnavailable, StorageFailed."""
        left = [row for row in read_slices(self._work) if not row["done"]]
        at_once = workers(self._work, self._sides.source)
        for_each(left, self._update, at_once, self._sides.retry)

    def _update(self, row: RowMapping) -> None:
        part = slice_of(row)
        entries = self._entries(part)
        if entries is None:
            self._compare(part)
        else:
            first = part.first if row["cursor"] is None else row["cursor"]
            self._merge(part, row, Known(entries, first, part.until))

    def _entries(self, part: Slice) -> bytes | None:
        """What was kept of the base's points where this slice lies; None: not of all of them."""
        overlapping = [one.index for one in self._base_slices if one.overlaps(part)]
        if not overlapping:
            return None
        with self._work.stores.catalog.read() as connection:
            return read_digests(connection, self._base["clone_id"], overlapping)

    def _compare(self, part: Slice) -> None:
        work, mine = self._work, self._sides.for_thread(self._work.new_rewriter())
        # What no repair puts right is for the proof to say.
        result = compare(mine, part, Differences(), Differences(), work, sampled=self._sampled)
        progress = result.progress
        store_slice(work, mine.retry, part, progress, None, mine.rewriter)
        self._count(progress.digest.count, progress.changes.total())

    def _merge(self, part: Slice, row: RowMapping, known: Known) -> None:
        work, sides = self._work, self._sides
        progress, rewriter = Progress.from_json(row["progress"]), work.new_rewriter()
        writes = _Writes()
        for page in read_slice(sides.source, sides.source_name, part, sides.retry, row["cursor"]):
            before = progress.changes.total()
            count = self._merge_page(page, known, progress, rewriter, writes)
            self._count(count, progress.changes.total() - before)
            work.meter.add(count)
            if page.next is None or not writes or len(writes) >= _BATCH:
                self._write(writes)
                store_slice(work, sides.retry, part, progress, page.next, rewriter)

    def _merge_page(
        self,
        page: EncodedPage,
        known: Known,
        progress: Progress,
        rewriter: Rewriter | None,
        writes: _Writes,
    ) -> int:
        """Returns how many points the page has that belong to the slice."""
        changes: Counter[str] = progress.changes
        count, settled = 0, self._sides.rule.settled
        for point in page.points:
            count += 1
            digest = add(progress, point, rewriter, settled=settled, sampled=self._sampled)
            _delete(known.pass_to(point.id), writes, changes)
            was = known.take(point.id)
            if was != short(digest):
                changes["inserted" if was is None else "changed"] += 1
                writes.points.append(point)
                if was is not None:
                    writes.gone.append(point.id)
        _delete(known.pass_to(page.next), writes, changes)
        return count

    def _write(self, writes: _Writes) -> None:
        if not writes:
            return
        self._work.lease.check()
        name, target, retry = self._sides.target_name, self._sides.target, self._sides.retry
        if writes.gone:
            retry(lambda: target.delete_points(name, writes.gone))
        if writes.points:
            target.write(name, writes.points, retry)
        writes.points, writes.gone = [], []

    def _count(self, points: int, changed: int) -> None:
        """Raises DeltaGivenUp."""
        planned = self._work.clone.plan["counts"]["points"]
        with self._counting:
            self.points += points
            self._changed += changed
            if self._changed > max(FEW, MOST_CHANGED * planned):
                raise DeltaGivenUp(
                    f"more than {MOST_CHANGED:.0%} of the points have changed since "
                    f"{self._base['called']} was made"
                )


def _delete(ids: list[PointId], writes: _Writes, changes: Counter[str]) -> None:
    if ids:
        writes.gone += ids
        changes["deleted"] += len(ids)


def _slices(work: Work, clone_id: str) -> list[Slice]:
    """Those of another clone."""
    query = (
        select(clone_slices.c.slice, clone_slices.c.bounds)
        .where(clone_slices.c.clone_id == clone_id)
        .order_by(clone_slices.c.slice)
    )
    with work.stores.catalog.read() as connection:
        rows = connection.execute(query).all()
    return [Slice.from_json(row.slice, row.bounds) for row in rows]
