"""One slice of the source and of the target, side by side: what differs is named and put right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..ledger.files import note_files
from ..ledger.work import Work
from ..vectors.digest import Digest
from ..vectors.encoded import EncodedPoint
from ..vectors.equality import differences
from ..vectors.point import PointId
from ..vectors.side_by_side import pairs
from ..vectors.slices import Slice
from .pages import read_if_there
from .progress import Progress
from .sides import Sides
from .stream import add

if TYPE_CHECKING:
    from ..difference import Differences

# So many points that differ are written at once.
_BATCH = 256


@dataclass
class Compared:
    """`progress` is what the source holds now, rewritten; `sealed` digests the target as it was
    read, or read back. `repaired` counts the points that were written again or removed."""

    progress: Progress = field(default_factory=Progress)
    sealed: Digest = field(default_factory=Digest)
    compared: int = 0
    repaired: int = 0


Pair = tuple[EncodedPoint | None, EncodedPoint | None]


def compare(
    sides: Sides,
    part: Slice,
    found: Differences,
    left: Differences,
    work: Work | None = None,
    *,
    sampled: bool = False,
) -> Compared:
    """Names in `found` every point of the slice that differs, and each field in which it does.

    With `work`, each is written again as the source has it now (or removed, where the source has
    it no more), and what differs still is named in `left`. Holds a page of either side.
    """
    sides = sides.within(part.shard_key)
    result, settled = Compared(), sides.rule.settled
    batch: list[Pair] = []
    for before, after in pairs(_pages(sides, part, True), _pages(sides, part, False)):
        result.compared += 1
        expected = actual = None
        if before is not None:
            expected = add(
                result.progress,
                before,
                sides.rewriter,
                settled=settled,
                sampled=sampled,
                shard_key=sides.shard_key,
            )
        if after is not None:
            actual = after.digest(settled=settled)
        if expected != actual and _differs(sides, before, after, found):
            result.progress.changes[_change(before, after)] += 1
            batch.append((before, after))
            if work is not None:
                note_found(work, sides, at_least=_BATCH)
                if len(batch) >= _BATCH:
                    _repair_all(work, sides, batch, left, result)
                continue  # it is sealed as it reads after that
        elif after is not None:
            look_for_source_ids(sides, after, left)
        if actual is not None:
            result.sealed.add(actual)
    if work is not None:
        _repair_all(work, sides, batch, left, result)
    return result


def _change(before: EncodedPoint | None, after: EncodedPoint | None) -> str:
    """What has happened to a point of the source, as far as the target can tell."""
    return "deleted" if before is None else "inserted" if after is None else "changed"


def _differs(
    sides: Sides, before: EncodedPoint | None, after: EncodedPoint | None, found: Differences
) -> bool:
    """For points of which one is not there, or whose digests differ."""
    if note(sides, before, after, found):
        return True
    if sides.rule.exact and before is not None:
        # No field of it differs, and yet its digest does: that would be a mistake of ours.
        found.add("point", sides.name(before.id), "differs in its encoding")
    return sides.rule.exact


def _repair_all(
    work: Work, sides: Sides, batch: list[Pair], left: Differences, result: Compared
) -> None:
    result.repaired += len(batch)
    for point in repair(work, sides, batch, left).values():
        result.sealed.add(point.digest(settled=sides.rule.settled))
    batch.clear()


def note(
    sides: Sides, before: EncodedPoint | None, after: EncodedPoint | None, found: Differences
) -> bool:
    """Whether the target's point differs from the source's, rewritten; names the fields."""
    if before is None:
        if after is None:
            return False
        found.add("point", sides.name(after.id), "is extra")
        return True
    fields = ["is missing"]
    if after is not None:
        fields = differences(before.plain(), after.plain(), sides.rule)
    found.add("point", sides.name(before.id), *fields)
    return bool(fields)


def look_for_source_ids(sides: Sides, point: EncodedPoint, left: Differences) -> None:
    """Names every id of the source that a point of the target holds at a mapped place, and counts
    the others."""
    rewriter = sides.rewriter
    if rewriter is None:
        return
    ids = rewriter.source_ids
    where = ids.in_encoded(point.encoded, point.payload_end)
    if where == "nowhere" and ids.complete:
        return
    if any(outcome == "rewritten" for _, outcome in point.references(rewriter).counts):
        for path, old in rewriter.source_ids_left("payload", point.plain_payload()):
            what = f"payload.{path} still holds the source's {old}"
            left.add("point", sides.name(point.id), what)
    if where == "whole":
        for place in rewriter.unlisted_places("payload", point.plain_payload()):
            sides.unlisted.add("payload", place)


def repair(
    work: Work, sides: Sides, batch: list[Pair], left: Differences
) -> dict[PointId, EncodedPoint]:
    """Writes them again, reads them back, and keeps what differs still. Returns what was read."""
    if not batch:
        return {}
    work.lease.check()
    note_found(work, sides)
    name, target = sides.target_name, sides.target
    # Also what is written again: else the server may keep vectors that are gone (see delta.py).
    gone = [after.id for _, after in batch if after is not None]
    if gone:
        sides.retry(lambda: target.delete_points(name, gone))
    wanted = [before for before, _ in batch if before is not None]
    if wanted:
        target.write(name, wanted, sides.retry)
    written = retrieve(sides, list({point.id: None for pair in batch for point in pair if point}))
    for before, after in batch:
        point = before or after
        now = None if point is None else written.get(point.id)
        note(sides, before, now, left)
        if now is not None:
            look_for_source_ids(sides, now, left)
    return written


def note_found(work: Work, sides: Sides, at_least: int = 1) -> None:
    """Puts the files that were found in points of the source on record, before a point is written
    that refers to their copies."""
    rewriter = sides.rewriter
    if rewriter is None or not rewriter.files or len(rewriter.files) < at_least:
        return
    files = rewriter.take_files()
    with work.lease.write() as connection:
        note_files(connection, work.clone.clone_id, rewriter.ids, files)


def retrieve(sides: Sides, ids: list[PointId]) -> dict[PointId, EncodedPoint]:
    """The target's points of these ids, as far as they are there."""
    points = sides.retry(lambda: sides.target.retrieve(sides.target_name, ids))
    return {point.id: EncodedPoint.of(point) for point in points}


def rewritten(sides: Sides, ids: list[PointId]) -> dict[PointId, EncodedPoint]:
    """The source's points of these ids as they must stand in the target."""
    points = sides.retry(lambda: sides.source.retrieve(sides.source_name, ids))
    found = {point.id: EncodedPoint.of(point) for point in points}
    for point in found.values():
        if sides.rewriter is not None:
            point.rewrite(sides.rewriter)
    return found


def _pages(sides: Sides, part: Slice, of_source: bool) -> Iterator[Iterable[EncodedPoint]]:
    store, name = (
        (sides.source, sides.source_name) if of_source else (sides.target, sides.target_name)
    )
    for page in read_if_there(store, name, part, sides.retry):
        yield page.points
        if not of_source and not sides.rule.exact:  # else they were counted with their digests
            sides.meter.add(page.count)
