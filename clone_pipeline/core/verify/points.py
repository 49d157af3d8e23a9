"""The points of a clone against those of its source, rewritten; in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..references import Rewriter
from ..vectors.digest import Digest, point_digest
from ..vectors.equality import EqualityRule, differences
from ..vectors.paging import pages, pairs
from ..vectors.port import Point, PointId, VectorStore
from ..vectors.stream import Progress, page_size
from ..work import Work
from .difference import Differences


@dataclass(frozen=True)
class Pair:
    """The two stores, open; `source_name` is the source's Qdrant collection."""

    target: VectorStore
    source: VectorStore
    source_name: str


@dataclass
class PointsFound:
    """`seal` digests the target as it reads after a fresh open, vectors included; None where not
    every point was read. `source` digests what the source holds now, where it was read again, and
    `source_count` is how many points that are."""

    compared: int = 0
    count: int = 0
    repaired: int = 0
    seal: Digest | None = None
    source: Digest | None = None
    source_count: int = 0
    found: Differences = field(default_factory=Differences)
    left: Differences = field(default_factory=Differences)


def check_full(work: Work, stores: Pair, rule: EqualityRule, copied: Progress) -> PointsFound:
    """Every point. On a server by digests, and point by point only where these differ; on the
    embedded store, whose cosine vectors have no one spelling, always point by point.

    What differs is written again once, as the source has it now; `left` is what differs still.
    """
    result = PointsFound()
    if rule.exact:
        result.seal = digest_target(work, stores.target, result)
        if result.seal == copied.digest:
            result.compared = result.count = result.seal.count
            result.source_count = stores.source.count(stores.source_name)
            return result
        result.left = Differences()
    _compare(work, stores, rule, result)
    result.count = 0 if result.seal is None else result.seal.count
    return result


def check_sample(work: Work, stores: Pair, rule: EqualityRule, copied: Progress) -> PointsFound:
    """The points that the copy put aside for each collection: in the source and in the target.

    What differs is written again once, as in `check_full`.
    """
    result = PointsFound()
    for lowest in copied.sample.values():
        ids = [point_id for _, point_id in lowest]
        expected = _by_id(stores.source.retrieve(stores.source_name, ids))
        actual = _by_id(stores.target.retrieve(work.clone.qdrant_collection, ids))
        batch = []
        for point_id in ids:
            # Gone from the source since: there is nothing to compare it with.
            if point_id in expected:
                before = rewritten(work.rewriter, expected[point_id])
                result.compared += 1
                batch += _check(work, before, actual.get(point_id), rule, result)
        _repair(work, rule, stores.target, batch, result)
    return _counted(work, stores, copied, result)


def check_count(work: Work, stores: Pair, copied: Progress) -> PointsFound:
    return _counted(work, stores, copied, PointsFound())


def _counted(work: Work, stores: Pair, copied: Progress, result: PointsFound) -> PointsFound:
    result.count = stores.target.count(work.clone.qdrant_collection)
    result.source_count = stores.source.count(stores.source_name)
    if result.count != copied.digest.count:
        field = f"{copied.digest.count} were copied, {result.count} are there"
        result.left.add("point", "count", field)
    return result


def digest_target(work: Work, target: VectorStore, result: PointsFound) -> Digest:
    """The target's points as they are, vectors included; ids of the source are noted on the way."""
    digest = Digest()
    for page in pages(target, work.clone.qdrant_collection, page_size(target)):
        for point in page:
            digest.add(point_digest(point))
            _look_for_source_ids(work.rewriter, point, result.left)
    return digest


def _compare(work: Work, stores: Pair, rule: EqualityRule, result: PointsFound) -> None:
    """Both sides in id order, side by side; repairs as it goes, a page at a time."""
    target = stores.target
    limit = page_size(target)
    batch: list[tuple[PointId, Point | None]] = []
    sealed, seen = Digest(), Digest()
    expected = rewritten_pages(work.rewriter, stores.source, stores.source_name)
    actual = pages(target, work.clone.qdrant_collection, limit)
    for before, after in pairs(expected, actual):
        result.compared += 1
        if before is not None:
            seen.add(point_digest(before, vectors=rule.exact))
        if after is not None:
            sealed.add(point_digest(after))
        batch += _check(work, before, after, rule, result)
        if len(batch) >= limit:
            _repair(work, rule, target, batch, result)
            batch = []
    _repair(work, rule, target, batch, result)
    result.seal, result.source, result.source_count = sealed, seen, seen.count


def _check(
    work: Work, before: Point | None, after: Point | None, rule: EqualityRule, result: PointsFound
) -> list[tuple[PointId, Point | None]]:
    """What has to be written for this id, if anything: the point, or None to remove it."""
    if before is None and after is not None:
        result.found.add("point", after.id, "is extra")
        return [(after.id, None)]
    if before is not None and _note(before, after, rule, result.found):
        return [(before.id, before)]
    if after is not None:
        _look_for_source_ids(work.rewriter, after, result.left)
    return []


def _note(before: Point, after: Point | None, rule: EqualityRule, found: Differences) -> bool:
    fields = ["is missing"] if after is None else differences(before, after, rule)
    found.add("point", before.id, *fields)
    return bool(fields)


def _repair(
    work: Work,
    rule: EqualityRule,
    target: VectorStore,
    batch: list[tuple[PointId, Point | None]],
    result: PointsFound,
) -> None:
    """Writes them again, reads them back, and keeps what differs still."""
    if not batch:
        return
    name = work.clone.qdrant_collection
    work.lease.check()
    wanted = [point for _, point in batch if point is not None]
    if wanted:
        target.upsert(name, wanted)
    gone = [point_id for point_id, point in batch if point is None]
    if gone:
        target.delete_points(name, gone)
    after = _by_id(target.retrieve(name, [point_id for point_id, _ in batch]))
    for point_id, point in batch:
        if point is not None:
            _note(point, after.get(point_id), rule, result.left)
        elif point_id in after:
            result.left.add("point", point_id, "is extra")
    for written in after.values():
        _look_for_source_ids(work.rewriter, written, result.left)
    result.repaired += len(batch)


def rewritten_pages(
    rewriter: Rewriter, store: VectorStore, collection: str
) -> Iterator[list[Point]]:
    """The source's points as they must stand in the clone."""
    for page in pages(store, collection, page_size(store)):
        yield [rewritten(rewriter, point) for point in page]


def rewritten(rewriter: Rewriter, point: Point) -> Point:
    return point._replace(payload=rewriter.rewrite_payload(point.payload)[0])


def _look_for_source_ids(rewriter: Rewriter, point: Point, left: Differences) -> None:
    for path, old in rewriter.source_ids_left("payload", point.payload):
        left.add("point", point.id, f"payload.{path} still holds the source's {old}")


def _by_id(points: list[Point]) -> dict[PointId, Point]:
    return {point.id: point for point in points}
