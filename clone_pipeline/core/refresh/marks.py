"""Marks of a source: short texts that change when it does, cheap however large it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS
from ..catalog.namespace import Namespace
from ..kinds import KINDS
from ..stores import Stores
from ..vectors.port import VectorStore

# What the platform keeps up to date in a bucket's document.
_COUNTERS = ("object_count", "total_size_bytes", "last_upload_at", "updated_at")


def catalog_mark(connection: Connection, source: Namespace) -> str:
    """Changes when a resource of the namespace is added, changed or deleted, when objects are
    uploaded, and when the namespace itself is replaced."""
    parts: list[Any] = [source.key, source.generation, source.updated_at.isoformat()]
    for kind in KINDS:
        table = RECORDS[kind.name].table
        query = select(func.count(), func.max(table.c.updated_at))
        count, newest = connection.execute(query.where(table.c.namespace_key == source.key)).one()
        parts += [count, newest.isoformat() if isinstance(newest, datetime) else None]
    for document in catalog.read_documents(connection, source.key, "bucket"):
        parts.append([document.get(name) for name in _COUNTERS])
    return sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class SourceMark:
    """What a source is known by: `points` is the number of the last write to them, None where
    that is not known; `silent` where a server has never told it."""

    catalog: str
    points: str | None
    silent: bool = False

    @property
    def text(self) -> str:
        """One short text for both: letters and digits."""
        return sha256(json.dumps([self.catalog, self.points]).encode()).hexdigest()[:16]


def source_mark(stores: Stores, source: Namespace, known: str | None) -> SourceMark:
    """What a source in these stores is known by now. Where its Qdrant server does not tell the last
    write, as while writes wait to be applied, the last one that is `known` stands for it.

    The embedded store, which admits one process at a time, is not opened for this. Raises WorkError
    where catalog or server cannot be reached.
    """
    with stores.catalog.read() as connection:
        catalog_part = catalog_mark(connection, source)
    with stores.server(source.qdrant_url, source.qdrant_api_key) as server:
        if server is None:
            return SourceMark(catalog_part, None)
        told = server.last_write(server.resolve(source.qdrant_collection))
    points = told or known
    return SourceMark(catalog_part, points, silent=points is None)


_POINTS = " points"


def mark(store: VectorStore, collection: str) -> str:
    """Changes with every write to the collection, or, where the store cannot tell, with the count
    of its points. Raises StoreUnavailable while some of them are not shown."""
    store.refuse_hidden(collection)
    return store.last_write(collection) or f"{store.count(collection)}{_POINTS}"


def is_told(mark: str) -> bool:
    """Whether the store could tell its last write when it was asked for this mark."""
    return not mark.endswith(_POINTS)
