"""An archive from a namespace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...catalog import namespaces
from ...catalog.namespace import Namespace
from ...ledger.meter import Meter
from ...points.pages import CONCURRENT, for_each, read_slice
from ...points.retry import Retry
from ...stores import Stores
from ...vectors.digest import Digest
from ...vectors.encoded import EncodedPoint
from ...vectors.port import VectorStore
from ...vectors.slices import Slice, cut
from ..cleared import cleared_in
from ..dump import Counter, config_and_keys, namespace_document, record_documents
from ..files import CLEARED, CONFIG, NAMESPACE, POINTS, RECORD_FILES
from ..load import Progress
from ..output import encode, encode_point
from .manifest import (
    MANIFEST,
    VERSION,
    WITH_SHARD_KEYS,
    Manifest,
    Part,
    Seal,
    Sealed,
    is_part,
    record_digest,
    written,
)
from .parts import Open, fits, store, write_lines
from .place import NOTHING, Changed, Place
from .state import STATE, Piece, Unfinished, begin, mark_of, refuse_foreign

_SAMPLED = 100  # points tell the size of the rest


@dataclass(frozen=True)
class Dumped:
    """`counts` as `load` names them; `reused` is how many points an interrupted dump had written
    already; `consistent` as in the manifest."""

    counts: dict[str, int]
    reused: int
    consistent: bool | None


def dump_archive(
    stores: Stores,
    vectors: VectorStore,
    namespace_key: int,
    place: Place,
    meter: Meter,
    on_progress: Progress | None = None,
) -> Dumped:
    """Writes one generation of a namespace as an archive, which is there when its manifest is.

    The catalog is one snapshot. Points are as they are read, before it; `consistent` tells whether
    anything was written to them meanwhile. An interrupted dump goes on with its parts where the
    store can tell that no point was written since, and else begins anew.

    Raises Conflict where something is there already, InProgress where another dump into the same
    place began, NotFound where the namespace's Qdrant collection does not exist, and what stores
    and place raise.
    """
    refuse_foreign(place)
    retry = Retry(stores)
    with stores.catalog.read() as connection:
        namespace = namespaces.by_key(connection, namespace_key)
    points = _Points(vectors, namespace, place, retry, meter)
    points.write()
    counter = Counter(on_progress)
    parts, sealed = points.unfinished.parts, dict[str, Sealed]()
    with stores.catalog.read() as connection:
        namespace = namespaces.by_key(connection, namespace_key)
        cleared = cleared_in(connection, namespace)
        for kind, file in RECORD_FILES.items():
            digest = Digest()
            documents = record_documents(connection, namespace_key, kind, counter)

            def lines() -> Iterator[bytes]:
                for document in documents:  # noqa: B023  # gone through before the next one
                    digest.add(record_digest(document))  # noqa: B023
                    yield encode(document) + b"\n"

            parts += write_lines(place, retry, Path(file).stem, lines())
            counter.end(Path(file).stem)
            sealed[kind] = Sealed.of(digest)
    counts = {**counter.counts, "points": points.digest.count}
    document = namespace_document(namespace, counts)
    for file, content in ((CONFIG, points.config), (NAMESPACE, document), (CLEARED, cleared)):
        if content is None:
            continue
        parts += write_lines(place, retry, Path(file).stem, [encode(content) + b"\n"])
    consistent = points.stayed()
    manifest = Manifest(
        version=VERSION if points.keys is None else WITH_SHARD_KEYS,
        created_at=written(stores.clock()),
        organization_id=namespace.organization_id,
        namespace_id=namespace.namespace_id,
        namespace_name=namespace.name,
        counts=counts,
        seal=Seal(points=Sealed.of(points.digest), records=sealed),
        consistent=consistent,
        parts=sorted(parts, key=lambda part: part.name),
    )
    _finish(place, retry, points.unfinished, manifest)
    return Dumped(counts, points.reused, consistent)


def _finish(place: Place, retry: Retry, unfinished: Unfinished, manifest: Manifest) -> None:
    """Leaves nothing but the archive; the manifest makes it one."""
    unfinished.write()  # that nobody else has begun here
    listed = {part.name for part in manifest.parts}
    for name in retry(place.sizes):
        if is_part(name) and name not in listed:
            retry(lambda: place.remove(name))  # noqa: B023  # at once
    data = manifest.encode()
    try:
        retry(lambda: place.write(MANIFEST, [data], NOTHING))
    except Changed:
        there = place.read(MANIFEST, len(data))
        if there is None or there.data != data:
            refuse_foreign(place)
            raise
    retry(lambda: place.remove(STATE))


class _Points:
    """The points, slice by slice, several at once."""

    def __init__(
        self,
        vectors: VectorStore,
        namespace: Namespace,
        place: Place,
        retry: Retry,
        meter: Meter,
    ) -> None:
        self._vectors = vectors
        self._where = namespace.qdrant_url
        # An alias may be switched to another collection meanwhile.
        self._collection = vectors.resolve(namespace.qdrant_collection)
        self._place = place
        self._retry = retry
        self._meter = meter
        self._mark = self._read_mark()
        self.config, self.keys = config_and_keys(vectors, namespace, self._collection)
        count = retry(lambda: vectors.count(self._collection))
        self._begin_meter(count)
        slices = cut(vectors, self._collection, count, self.keys)
        self.unfinished = begin(place, namespace.namespace_id, self._mark, slices, retry)
        self.digest = Digest()
        self.reused = 0
        self._adding = threading.Lock()

    def write(self) -> None:
        slices = self.unfinished.slices
        for_each(slices, self._write, 1 if self._vectors.embedded else CONCURRENT, self._retry)

    def stayed(self) -> bool | None:
        """Whether nothing was written to the points since the dump, or what it goes on with, began;
        None where the store cannot tell."""
        now = self._read_mark()
        return None if self._mark is None or now is None else now == self._mark

    def _read_mark(self) -> str | None:
        self._retry(lambda: self._vectors.refuse_hidden(self._collection))
        told = self._vectors.last_write(self._collection)
        return None if told is None else mark_of(self._where, self._collection, told)

    def _begin_meter(self, count: int) -> None:
        sample = list(self._vectors.read(self._collection, _SAMPLED).points) if count else []
        size = sum(len(point.encoded) for point in sample) * count // max(1, len(sample))
        self._meter.begin("Dumped", count, size)

    def _write(self, part: Slice) -> None:
        key = str(part.index)
        piece = self._whole(self.unfinished.pieces.get(key))
        if piece is None:
            piece = Piece()
        elif piece.next is None:
            return
        current = Open(part.shard_key)
        for point in self._points(part, piece):
            if current.is_full:
                piece = self._checkpoint(part, piece, current, point)
                current = Open(part.shard_key)
            line = encode_point(point.plain(), part.shard_key) + b"\n"
            digest = point.digest(settled=True)
            current.add_point(point.id, line, digest)
        self._checkpoint(part, piece, current, None)

    def _points(self, part: Slice, piece: Piece) -> Iterator[EncodedPoint]:
        for page in read_slice(self._vectors, self._collection, part, self._retry, piece.next):
            yield from page.points
            self._meter.add(page.count)

    def _checkpoint(
        self, part: Slice, piece: Piece, filled: Open, following: EncodedPoint | None
    ) -> Piece:
        parts = list(piece.parts)
        if filled.digest is not None:
            stem, number = Path(POINTS).stem, len(parts)
            parts.append(store(self._place, self._retry, filled, stem, part.index, number))
            with self._adding:
                self.digest.merge(filled.digest)
        piece = Piece(parts=parts, next=None if following is None else following.id)
        self.unfinished.store(str(part.index), piece)
        return piece

    def _whole(self, piece: Piece | None) -> Piece | None:
        """What an interrupted dump has done of a slice, where each of its parts is as it was
        written."""
        if piece is None or not all(self._fits(part) for part in piece.parts):
            return None
        with self._adding:
            for done in piece.parts:
                self.digest.merge(Digest(int(done.digest or "0", 16), done.lines))
                self.reused += done.lines
                self._meter.add(done.lines)
        return piece

    def _fits(self, part: Part) -> bool:
        return self._retry(lambda: fits(self._place, part))
