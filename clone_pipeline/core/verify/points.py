"""The points of a clone against what was read of its source; in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from sqlalchemy import RowMapping, update

from ..catalog.schema import clone_slices
from ..difference import Differences
from ..ledger.claims import NOBODY, Taken
from ..ledger.digests import keep_digests
from ..ledger.work import Work
from ..ledger.worked import Hand, Worked, together
from ..points.compare import Pair, compare, look_for_source_ids, note, repair, retrieve, rewritten
from ..points.known import entry
from ..points.pages import CONCURRENT, for_each, read_if_there, read_slice
from ..points.progress import SAMPLED, Progress
from ..points.retry import Retry
from ..points.sides import Sides
from ..points.stream import read_slices, slice_of, store_slice
from ..points.together import work_through
from ..references import Places
from ..refresh.quiet import Disturbed
from ..vectors.digest import Digest
from ..vectors.point import PointId, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import Slice


@dataclass
class PointsFound:
    """`seal` has the digests of the target's slices as they read after a fresh open, vectors
    included; None where not every point was read. `source_count` is how many points the source
    holds now; `last_write` is that of the target if every point was read, and nobody wrote
    meanwhile; `worked` says who has compared them."""

    compared: int = 0
    count: int = 0
    repaired: int = 0
    seal: list[Digest] | None = None
    source_count: int = 0
    last_write: str | None = None
    unlisted: Places = field(default_factory=Places)
    found: Differences = field(default_factory=Differences)
    left: Differences = field(default_factory=Differences)
    worked: Worked = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What a slice's proof has found, for the ledger."""
        return {
            "compared": self.compared,
            "repaired": self.repaired,
            "unlisted": self.unlisted.to_rows(),
            "found": [self.found.count, self.found.to_json()],
            "left": [self.left.count, self.left.to_json()],
            "worked": self.worked,
        }

    def add_stored(self, proof: Mapping[str, Any]) -> None:
        """What `to_json` has made of another slice's."""
        self.compared += proof["compared"]
        self.repaired += proof["repaired"]
        self.unlisted.merge(Places.from_rows(proof["unlisted"]))
        self.found.add_stored(*proof["found"])
        self.left.add_stored(*proof["left"])
        self.worked = together([self.worked, proof["worked"]])


def check_full(work: Work, sides: Sides) -> PointsFound:
    """Every point. Each slice of the target is digested; where that is not the digest of what was
    copied, it is compared with the source point by point.

    What differs is written again once, as the source has it now; `left` is what differs still.
    """
    sides.retry(lambda: sides.target.refuse_hidden(sides.target_name))
    before = sides.target.last_write(sides.target_name)
    work.begin_points("Proved")
    prove_slices(work, sides)
    result, seal = PointsFound(), list[Digest]()
    for row in read_slices(work):
        result.add_stored(row["proof"])
        seal.append(Digest.from_json(row["proof"]["sealed"]))
    result.seal = seal
    result.count = sum(digest.count for digest in seal)
    result.source_count = _count(sides, sides.source, sides.source_name)
    # A request of a process that has lost its slice may have come after that was read.
    if (there := _count(sides, sides.target, sides.target_name)) != result.count:
        result.left.add("point", "count", f"{result.count} were read, {there} are there")
    after = sides.target.last_write(sides.target_name)
    result.last_write = after if after == before and not result.repaired else None
    return result


def check_left_alone(work: Work, sides: Sides) -> PointsFound:
    """Of points that nobody has touched since they were proven: their seal, and what was found by
    then. Raises Disturbed where somebody has, or where there are not as many of them any more."""
    base, result, seal = work.clone.plan["base"], PointsFound(), list[Digest]()
    result.last_write = sides.target.last_write(sides.target_name)
    if base is None or result.last_write != base["last_write"]:
        raise Disturbed
    for row in read_slices(work):
        seal.append(Digest.from_json(row["proof"]["sealed"]))
        result.unlisted.merge(Places.from_rows(row["proof"]["unlisted"]))
    result.count = _count(sides, sides.target, sides.target_name)
    result.source_count = _count(sides, sides.source, sides.source_name)
    if not sum(one.count for one in seal) == result.count == result.source_count:
        raise Disturbed
    result.seal = seal
    return result


def prove_slices(work: Work, sides: Sides) -> None:
    """Compares slice after slice, beside others who do the same, and stores with each what was
    found. Raises LeaseLost, StoreUnavailable, StorageFailed."""

    def one(taken: Taken) -> None:
        here, hand = replace(work, lease=taken.claim), Hand(taken.holder, work.stores.clock())
        mine = replace(sides.for_thread(work.new_rewriter()), retry=sides.retry.within(taken.claim))
        found, digest = _check_slice(here, mine, taken.row)
        hand.points = digest.count
        found.worked = hand.worked(work.stores.clock())
        values = {"proof": found.to_json() | {"sealed": digest.to_json()}, **NOBODY}

        def store() -> None:
            with taken.claim.write() as connection:
                this = update(clone_slices).where(*taken.claim.is_mine)
                connection.execute(this.values(values))

        mine.retry(store)

    work_through(work, sides, "prove", one)


def _check_slice(work: Work, mine: Sides, row: RowMapping) -> tuple[PointsFound, Digest]:
    part, copied = slice_of(row), Progress.from_json(row["progress"])
    result = PointsFound(unlisted=mine.unlisted)
    kept = bytearray() if _is_base_of_next(work, mine, copied) else None
    digest = digest_slice(mine, part, result.left, kept)
    if digest == copied.digest:
        result.compared = digest.count
        if kept is not None:
            with work.lease.write() as connection:
                keep_digests(connection, work.clone.clone_id, part.index, bytes(kept))
        return result, digest
    result.left = Differences()
    mine.unlisted.clear()
    sampled = work.request.verify == "sample"
    compared = compare(mine, part, result.found, result.left, work, sampled=sampled)
    result.compared, result.repaired = compared.compared, compared.repaired
    digest = compared.sealed
    compared.progress.changes = copied.changes  # those of the copy
    if compared.repaired or compared.progress.digest != copied.digest:
        store_slice(work, mine.retry, part, compared.progress, None, mine.rewriter)
    if compared.repaired:
        # Nothing is sealed that was not read.
        digest = digest_slice(mine, part, None)
        if digest != compared.sealed and not result.left:
            result.left.add("point", part, "another writer is at work in the clone")
    return result, digest


def _is_base_of_next(work: Work, sides: Sides, copied: Progress) -> bool:
    """Whether the next refresh, or the next backup, may ask what each point was."""
    by_key = work.clone.plan["qdrant_config"].get("sharding_method") == "custom"
    if sides.target.embedded or by_key:
        return False
    if work.clone.backup_policy is not None:
        # The next one will be copied inside Qdrant too, or have a namespace of its own to name.
        return not work.is_native and not copied.names_namespace
    return work.request.if_exists == "replace"


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


def digest_slice(
    sides: Sides, part: Slice, left: Differences | None, kept: bytearray | None = None
) -> Digest:
    """The target's points as they are, vectors included; with `left`, ids of the source are looked
    for, and `kept` gets the entry of each (see points/known.py)."""
    digest = Digest()
    sides = sides.within(part.shard_key)
    for page in read_slice(sides.target, sides.target_name, part, sides.retry):
        for point in page.points:
            one = point.digest(settled=sides.rule.settled)
            digest.add(one)
            if kept is not None:
                kept += entry(point.id, one)
            if left is not None:
                look_for_source_ids(sides, point, left)
        sides.meter.add(page.count)
    return digest


def digest_all(
    store: VectorStore, collection: str, parts: Sequence[Slice], retry: Retry
) -> list[Digest]:
    """The digest of every part of a collection as it is now, vectors included."""
    digests = {part.index: Digest() for part in parts}
    retry(lambda: store.refuse_hidden(collection))

    def one(part: Slice) -> None:
        for page in read_if_there(store, collection, part, retry):
            for point in page.points:
                digests[part.index].add(point.digest(settled=not store.embedded))

    for_each(parts, one, 1 if store.embedded else CONCURRENT, retry)
    return list(digests.values())
