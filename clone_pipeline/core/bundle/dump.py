"""A bundle folder from a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from ..catalog import namespaces
from ..catalog.documents import RECORDS, Document, assemble
from ..catalog.engine import Catalog
from ..catalog.namespace import Namespace
from ..vectors.point import CollectionConfig, ShardKey
from ..vectors.port import VectorStore
from ..vectors.side_by_side import pages
from ..vectors.slices import shard_keys, within, without_shard_keys
from .cleared import cleared_in
from .files import CLEARED, CONFIG, NAMESPACE, POINTS, RECORD_FILES
from .load import Progress
from .output import encode, encode_indented, encode_point, new_folder

# Rows and points are held in memory a page at a time, whatever their size.
_ROWS = 200
_POINTS = 500
_PROGRESS = 1000

# The counts of a namespace document, by the name of what they count.
_COUNTS = {
    "points": "document_count",
    "buckets": "bucket_count",
    "collections": "collection_count",
    "objects": "object_count",
}


class Counter:
    """Counts what passes; `progress` hears of it now and then."""

    def __init__(self, progress: Progress | None) -> None:
        self.counts: dict[str, int] = {}
        self._progress = progress

    def add(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number
        if self._progress is not None and self.counts[what] % _PROGRESS == 0:
            self._progress(what, self.counts[what])

    def end(self, what: str) -> None:
        self.counts.setdefault(what, 0)
        if self._progress is not None:
            self._progress(what, self.counts[what])


def dump(
    catalog: Catalog,
    vectors: VectorStore,
    namespace_key: int,
    folder: Path,
    on_progress: Progress | None = None,
) -> dict[str, int]:
    """Writes one generation of a namespace as a bundle; the counts, named as `load` names them.

    The catalog is one snapshot; points are as they are read, after it. Raises Conflict where
    `folder` exists and is not empty, StorageFailed where it cannot be written, NotFound where the
    namespace's Qdrant collection does not exist, StoreUnavailable.
    """
    counter = Counter(on_progress)
    with new_folder(folder) as output:
        with catalog.read() as connection:
            namespace = namespaces.by_key(connection, namespace_key)
            cleared = cleared_in(connection, namespace)
            for kind, file in RECORD_FILES.items():
                documents = record_documents(connection, namespace_key, kind, counter)
                output.write(file, (encode(document) + b"\n" for document in documents))
                counter.end(Path(file).stem)
        vectors.refuse_hidden(namespace.qdrant_collection)
        output.write(POINTS, _point_lines(vectors, namespace, counter))
        vectors.refuse_hidden(namespace.qdrant_collection)
        counter.end("points")
        config, _ = config_and_keys(vectors, namespace, namespace.qdrant_collection)
        output.write(CONFIG, [encode_indented(config)])
        if cleared is not None:
            output.write(CLEARED, [encode_indented(cleared)])
        document = namespace_document(namespace, counter.counts)
        output.write(NAMESPACE, [encode_indented(document)])
    return counter.counts


def record_documents(
    connection: Connection, namespace_key: int, kind: str, counter: Counter
) -> Iterator[Document]:
    """The raw documents of a namespace, by id; versions of one taxonomy are counted once."""
    record = RECORDS[kind]
    what = Path(RECORD_FILES[kind]).stem
    query = (
        select(record.table)
        .where(record.table.c.namespace_key == namespace_key)
        .order_by(*_order(connection, kind))
        .execution_options(yield_per=_ROWS)
    )
    previous = None
    with connection.execute(query) as found:
        for row in found.mappings():
            if row[record.id_field] != previous:
                previous = row[record.id_field]
                counter.add(what)
            yield assemble(row, record)


def _order(connection: Connection, kind: str) -> list[ColumnElement[Any]]:
    """By id, in the order of its bytes: the same on both databases, whatever their locale."""
    record = RECORDS[kind]
    identity: ColumnElement[Any] = record.table.c[record.id_field]
    if connection.dialect.name != "sqlite":
        identity = identity.collate("C")
    return [identity, record.table.c.version] if record.versioned else [identity]


def config_and_keys(
    vectors: VectorStore, namespace: Namespace, collection: str
) -> tuple[CollectionConfig, list[ShardKey] | None]:
    """The configuration that goes with a namespace's points, and their shard keys, both with the
    keys that there are now."""
    there = vectors.read_config(collection)
    config, keys = namespace.qdrant_config or there, shard_keys(there)
    if keys is None:
        return without_shard_keys(config), None
    return config | {"shard_keys": there["shard_keys"]}, keys


def _point_lines(vectors: VectorStore, namespace: Namespace, counter: Counter) -> Iterator[bytes]:
    """Key by key, where there are shard keys; also those that are added meanwhile."""
    collection, done = namespace.qdrant_collection, set[ShardKey | None]()
    while left := [key for key in _keys(vectors, namespace) if key not in done]:
        done.update(left)
        for key in left:
            for page in pages(within(vectors, key), collection, _POINTS):
                for point in page:
                    counter.add("points")
                    yield encode_point(point, key) + b"\n"


def _keys(vectors: VectorStore, namespace: Namespace) -> list[ShardKey | None]:
    _, keys = config_and_keys(vectors, namespace, namespace.qdrant_collection)
    return [None] if keys is None else [*keys]


def namespace_document(namespace: Namespace, counts: dict[str, int]) -> dict[str, Any]:
    """The raw document, with the counts that it has put right."""
    document = {"organization_id": namespace.organization_id, **namespace.raw}
    actual = {field: counts[what] for what, field in _COUNTS.items() if field in document}
    return {**document, **actual}
