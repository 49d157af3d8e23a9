"""The points of a clone against what was read of its source; in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock

from sqlalchemy import RowMapping

from ..difference import Differences
from ..ledger.work import Work
from ..points.compare import Pair, compare, look_for_source_ids, note, repair, retrieve, rewritten
from ..points.pages import CONCURRENT, for_each, read_if_there, read_slice
from ..points.progress import SAMPLED, Progress
from ..points.retry import Retry
from ..points.sides import Sides
from ..points.stream import per_slice, slice_of, store_slice
from ..references import Places
from ..vectors.digest import Digest
from ..vectors.point import PointId, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import Slice


@dataclass
class PointsFound:
    """`seal` has the digests of the target's slices as they read after a fresh open, vectors
    included; None where not every point was read. `source_count` is how many points the source
    holds now."""

    compared: int = 0
    count: int = 0
    repaired: int = 0
    seal: list[Digest] | None = None
    source_count: int = 0
    unlisted: Places = field(default_factory=Places)
    found: Differences = field(default_factory=Differences)
    left: Differences = field(default_factory=Differences)


def check_full(work: Work, sides: Sides) -> PointsFound:
    """Every point. Each slice of the target is digested; where that is not the digest of what was
    copied, it is compared with the source point by point.

    What differs is written again once, as the source has it now; `left` is what differs still.
    """
    result, sealed = PointsFound(), dict[int, Digest]()
    lock = Lock()

    def one(row: RowMapping) -> None:
        found, digest = _check_slice(work, sides, row)
        with lock:
            sealed[row["slice"]] = digest
            result.compared += found.compared
            result.repaired += found.repaired
            result.unlisted.merge(found.unlisted)
            result.found.extend(found.found)
            result.left.extend(found.left)

    work.begin_points("Proved")
    per_slice(work, sides.target, sides.retry, one)
    result.seal = [sealed[index] for index in sorted(sealed)]
    result.count = sum(digest.count for digest in result.seal)
    result.source_count = _count(sides, sides.source, sides.source_name)
    return result


def _check_slice(work: Work, sides: Sides, row: RowMapping) -> tuple[PointsFound, Digest]:
    part, copied = slice_of(row), Progress.from_json(row["progress"])
    mine = sides.for_thread(work.new_rewriter())
    result = PointsFound(unlisted=mine.unlisted)
    digest = digest_slice(mine, part, result.left)
    if digest == copied.digest:
        result.compared = digest.count
        return result, digest
    result.left = Differences()
    mine.unlisted.clear()
    sampled = work.request.verify == "sample"
    compared = compare(mine, part, result.found, result.left, work, sampled=sampled)
    result.compared, result.repaired = compared.compared, compared.repaired
    digest = compared.sealed
    if compared.repaired or compared.progress.digest != copied.digest:
        store_slice(work, mine.retry, part, compared.progress, None, mine.rewriter)
    if compared.repaired:
        # Nothing is sealed that was not read.
        digest = digest_slice(mine, part, None)
        if digest != compared.sealed and not result.left:
            result.left.add("point", part, "another writer is at work in the clone")
    return result, digest


def check_sample(work: Work, sides: Sides, copied: Progress) -> PointsFound:
    """The points that the copy put aside for each collection: in the source and in the target.

    What differs is written again once, as in `check_full`.
    """
    result = PointsFound()
    work.begin_points("Proved", total=copied.sampled)
    ids: dict[ShardKey | None, list[PointId]] = {}
    for one in chain.from_iterable(copied.sample.values()):
        ids.setdefault(one.shard_key, []).append(one.id)
    for shard_key, some in ids.items():
        for start in range(0, len(some), SAMPLED):
            batch = some[start : start + SAMPLED]
            _check_ids(work, sides.within(shard_key), batch, result)
            work.meter.add(len(batch))
    return _counted(sides, copied, result)


def _check_ids(work: Work, sides: Sides, ids: Sequence[PointId], result: PointsFound) -> None:
    expected = rewritten(sides, list(ids))
    actual = retrieve(sides, list(ids))
    # Gone from the source since: there is nothing to compare it with.
    batch: list[Pair] = []
    for point_id, before in expected.items():
        after = actual.get(point_id)
        result.compared += 1
        if note(sides, before, after, result.found):
            batch.append((before, after))
        elif after is not None:
            look_for_source_ids(sides, after, result.left)
    repair(work, sides, batch, result.left)
    result.repaired += len(batch)


def check_count(sides: Sides, copied: Progress) -> PointsFound:
    return _counted(sides, copied, PointsFound())


def _counted(sides: Sides, copied: Progress, result: PointsFound) -> PointsFound:
    result.count = _count(sides, sides.target, sides.target_name)
    result.source_count = _count(sides, sides.source, sides.source_name)
    if result.count != copied.digest.count:
        field = f"{copied.digest.count} were copied, {result.count} are there"
        result.left.add("point", "count", field)
    return result


def _count(sides: Sides, store: VectorStore, name: str) -> int:
    return sides.retry(lambda: store.count(name))


def digest_slice(sides: Sides, part: Slice, left: Differences | None) -> Digest:
    """The target's points as they are, vectors included; with `left`, ids of the source are looked
    for."""
    digest = Digest()
    sides = sides.within(part.shard_key)
    for page in read_slice(sides.target, sides.target_name, part, sides.retry):
        for point in page.points:
            digest.add(point.digest(settled=sides.rule.settled))
            if left is not None:
                look_for_source_ids(sides, point, left)
        sides.meter.add(page.count)
    return digest


def digest_all(
    store: VectorStore, collection: str, parts: Sequence[Slice], retry: Retry
) -> list[Digest]:
    """The digest of every part of a collection as it is now, vectors included."""
    digests = {part.index: Digest() for part in parts}

    def one(part: Slice) -> None:
        for page in read_if_there(store, collection, part, retry):
            for point in page.points:
                digests[part.index].add(point.digest(settled=not store.embedded))

    for_each(parts, one, 1 if store.embedded else CONCURRENT, retry)
    return list(digests.values())
