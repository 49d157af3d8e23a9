"""That what was loaded is what the archive holds: read back, and against its seal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import attrgetter

from sqlalchemy import Connection

from ...catalog.documents import RECORDS
from ...errors import VerificationFailed
from ...ledger.meter import Meter
from ...points.pages import CONCURRENT, for_each, read_slice
from ...points.retry import Retry
from ...vectors.digest import Digest
from ...vectors.encoded import EncodedPoint
from ...vectors.equality import differences, rule
from ...vectors.point import Point
from ...vectors.port import VectorStore
from ...vectors.side_by_side import pairs
from ...vectors.slices import Slice, in_key
from ..check import Bundle
from ..claim import Reservation
from ..dump import Counter, record_documents
from ..files import POINTS, RECORD_FILES, Line, identified
from ..owner import Owner
from ..points import parse_point
from ..rewritten import Rewrite
from .files import ArchiveFiles
from .manifest import Part, Sealed, record_digest
from .seal import check_part, check_records, check_sum, point_digest


class Proof:
    """Of one load. `first_difference` is the first point that the store gives back otherwise."""

    def __init__(self, files: ArchiveFiles, retry: Retry) -> None:
        self._files = files
        self._retry = retry
        # Digests of parts that are not stored as they are; and, while they are written, of what
        # they hold and of what becomes of it.
        self._rewritten: dict[str, str] = {}
        self._written: dict[str, tuple[Digest, Digest]] = {}
        self.first_difference: str | None = None

    def find_stored(self, bundle: Bundle, reservation: Reservation, meter: Meter) -> int:
        """What a killed load of this archive has written need not be written again: the parts that
        the collection has already, point by point. Returns how many points they have."""
        parts = list(ranges(self._files.point_parts))
        stored: list[Part] = []

        def one(item: tuple[Part, Slice]) -> None:
            if self.is_stored(bundle, reservation, *item):
                stored.append(item[0])
                meter.add(item[0].lines)

        workers = 1 if reservation.vectors.embedded else CONCURRENT
        for_each(parts, one, workers, self._retry)
        self._files.skipped = frozenset(part.name for part in stored)
        return sum(part.lines for part in stored)

    def forget_stored(self) -> None:
        """All has to be written after all."""
        self._files.skipped = frozenset()

    def wrote(self, line: Line, point: Point) -> None:
        """Digests what is being written, so that no part is fetched and read once more for it."""
        if line.written is None or line.file in self._rewritten:
            return
        before, after = self._written.setdefault(line.file, (Digest(), Digest()))
        encoded = EncodedPoint.of(point)
        before.add(encoded.with_payload(line.written.get("payload", {})).digest(settled=True))
        after.add(encoded.digest(settled=True))

    def points(self, bundle: Bundle, reservation: Reservation, meter: Meter) -> None:
        """Reads every point back. Parts of which the digests are equal are equal; the others are
        compared point by point, as those of a clone are."""
        store = reservation.vectors
        parts = list(ranges(self._files.point_parts))
        check_sum(self._files.manifest)
        meter.begin("Proved", bundle.points, bundle.files.measure(POINTS)[1])

        def one(part: tuple[Part, Slice]) -> None:
            if not self.is_stored(bundle, reservation, *part):
                self._compare(bundle, store, *part)
            meter.add(part[0].lines)

        for_each(parts, one, 1 if store.embedded else CONCURRENT, self._retry)
        count = store.count(bundle.qdrant_collection)
        if count != bundle.points:
            raise VerificationFailed(
                f"The Qdrant collection {bundle.qdrant_collection} has {count} points, and the "
                f"archive has {bundle.points}: another writer is at work in it."
            )

    def is_stored(
        self, bundle: Bundle, reservation: Reservation, part: Part, within: Slice
    ) -> bool:
        """Whether the collection has just the points of a part where they belong."""
        digest = Digest()
        store = reservation.vectors
        for page in read_slice(store, bundle.qdrant_collection, within, self._retry):
            reservation.heartbeat()
            for point in page.points:
                digest.add(point.digest(settled=True))
        expected = part.digest if bundle.rewrite is None else self._digest_rewritten(bundle, part)
        return (digest.hexdigest(), digest.count) == (expected, part.lines)

    def _digest_rewritten(self, bundle: Bundle, part: Part) -> str:
        """Of a part's points as they are to be stored. Raises BundleError where those that it holds
        are not the ones that the seal was made of."""
        if part.name not in self._rewritten:
            before, after = self._written.get(part.name) or self._digests(bundle, part)
            check_part(part, before)
            self._rewritten[part.name] = after.hexdigest()
        return self._rewritten[part.name]

    def _digests(self, bundle: Bundle, part: Part) -> tuple[Digest, Digest]:
        """Of the points that a part holds, and of what they are to be stored as."""
        before, after = Digest(), Digest()
        owner = Owner.of(bundle.namespace)
        for line in self._files.lines_of(part, checked=True):
            before.add(point_digest(parse_point(line.document, bundle.shapes)))
            after.add(point_digest(self._expected(bundle, owner, line)))
        return before, after

    @staticmethod
    def _expected(bundle: Bundle, owner: Owner, line: Line) -> Point:
        document = line.document
        if bundle.rewrite is not None:
            document = bundle.rewrite(POINTS, document)
        point = parse_point(document, bundle.shapes)
        return point._replace(payload=owner.own(point.payload))

    def _compare(self, bundle: Bundle, store: VectorStore, part: Part, within: Slice) -> None:
        equal = rule(store.embedded, bundle.config)
        owner = Owner.of(bundle.namespace)

        def expected() -> Iterator[list[Point]]:
            for line in self._files.lines_of(part, checked=True):
                yield [self._expected(bundle, owner, line)]

        def actual() -> Iterator[list[Point]]:
            for page in read_slice(store, bundle.qdrant_collection, within, self._retry):
                yield [point.plain() for point in page.points]

        for before, after in pairs(expected(), actual()):
            if before is None or after is None:
                there = "missing" if after is None else "extra"
                found = [f"is {there}"]
            else:
                found = differences(before, after, equal)
            if found and self.first_difference is None:
                point = before or after
                name = f"{point.id if point else ''}{in_key(part.shard_key)}"
                self.first_difference = f"point {name}, {found[0]}"

    def records(self, bundle: Bundle, connection: Connection, namespace_key: int) -> None:
        """What stands in the catalog has the digests of the seal; or of what the archive holds and
        the seal was made of, rewritten. Raises VerificationFailed."""
        for kind in RECORD_FILES:
            sealed = self._files.manifest.seal.records.get(kind)
            if bundle.rewrite is not None:
                sealed = self._rewritten_records(bundle.rewrite, kind, sealed)
            digest = Digest()
            for document in record_documents(connection, namespace_key, kind, Counter(None)):
                digest.add(record_digest(document))
            if Sealed.of(digest) != sealed:
                raise VerificationFailed(
                    f"The {RECORD_FILES[kind].removesuffix('.jsonl')} that were loaded are not "
                    "what the archive's seal says; nothing was kept."
                )

    def _rewritten_records(self, rewrite: Rewrite, kind: str, sealed: Sealed | None) -> Sealed:
        """What the records of a kind must be. Raises BundleError as `_digest_rewritten` does."""
        before, after = Digest(), Digest()
        file, record = RECORD_FILES[kind], RECORDS[kind]
        for line in self._files.lines(file, checked=True):
            document = identified(record, line.document)
            before.add(record_digest(document))
            after.add(record_digest(rewrite(file, document)))
        check_records(file, before, sealed)
        return Sealed.of(after)


def ranges(parts: list[Part]) -> Iterator[tuple[Part, Slice]]:
    """Every part with the ids that are its own: together they cover all that there can be in the
    shard keys that have points."""
    for key, of_key in groupby(parts, attrgetter("shard_key")):
        some = list(of_key)
        edges = [None, *(part.first for part in some[1:]), None]
        for number, (part, (first, until)) in enumerate(zip(some, pairwise(edges), strict=True)):
            yield part, Slice(number, first, until, key)
