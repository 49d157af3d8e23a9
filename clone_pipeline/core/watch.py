"""What a refresh looks at: a cheap mark of the source, and what stands in the target.

Looking must cost the same however large the namespace is. So objects are never counted or read:
they have no index by time. The buckets' own counters tell of uploads, the Qdrant server's number
of the last write tells of points. What neither tells, such as an object that is edited in place
on embedded stores, is missed; `max_age_seconds` is for that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from .catalog import namespaces as catalog
from .catalog.namespaces import Namespace
from .catalog.schema import buckets, clones, collections, retrievers, taxonomies
from .refresh import Target
from .request import CloneRequest
from .stores import Stores
from .vectors.catchup import is_told

# What the platform keeps up to date in a bucket's document.
_COUNTERS = ("object_count", "total_size_bytes", "last_upload_at", "updated_at")


def catalog_mark(connection: Connection, source: Namespace) -> str:
    """Changes when a resource of the namespace is added, changed or deleted, when objects are
    uploaded, and when the namespace itself is replaced."""
    parts: list[Any] = [source.key, source.generation, source.updated_at.isoformat()]
    for table in (buckets, collections, retrievers, taxonomies):
        query = select(func.count(), func.max(table.c.updated_at))
        count, newest = connection.execute(query.where(table.c.namespace_key == source.key)).one()
        parts += [count, None if newest is None else newest.isoformat()]
    query = select(buckets.c.document).where(buckets.c.namespace_key == source.key)
    for document in connection.execute(query.order_by(buckets.c.bucket_id)).scalars():
        parts.append([document.get(name) for name in _COUNTERS])
    return sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class SourceMark:
    """What a source is known by: `points` is the number of the last write to them, None where
    that is not known."""

    catalog: str
    points: str | None

    @property
    def text(self) -> str:
        """One short text for both: letters and digits."""
        return sha256(json.dumps([self.catalog, self.points]).encode()).hexdigest()[:16]


def source_mark(stores: Stores, source: Namespace, known: str | None) -> SourceMark:
    """What the source is known by now. Where its Qdrant server does not tell the last write, as
    while writes wait to be applied, the last one that is `known` stands for it.

    The embedded store, which admits one process at a time, is not opened for this. Raises WorkError
    where catalog or server cannot be reached.
    """
    with stores.catalog.read() as connection:
        catalog_part = catalog_mark(connection, source)
    with stores.server(source.qdrant_url, source.qdrant_api_key) as server:
        if server is None:
            return SourceMark(catalog_part, None)
        told = server.last_write(server.resolve(source.qdrant_collection))
    return SourceMark(catalog_part, told or known)


def read_target(
    connection: Connection,
    organization_id: str,
    name: str,
    source: SourceMark | None = None,
    wanted: CloneRequest | None = None,
) -> Target:
    """What stands under the target's name, and whether it is the `wanted` copy of `source` as it
    is; an unfinished first clone counts as nothing."""
    live = catalog.find(connection, organization_id, name)
    if live is None or not live.is_ready:
        return Target()
    # Out of the plan only these: it is long where there are many references.
    query = select(
        clones.c.created_at,
        clones.c.request,
        clones.c.plan["catalog_mark"].as_string().label("catalog_part"),
        clones.c.plan["source_mark"].as_string().label("points_part"),
    )
    made = connection.execute(query.where(clones.c.clone_id == live.clone_id)).first()
    if made is None:
        return Target(live.clone_id, live.created_at, held=live.held_at is not None)
    return Target(
        clone_id=live.clone_id,
        made_at=made.created_at,
        is_copy=source is not None and _is_copy(made.catalog_part, made.points_part, source),
        as_wanted=wanted is None
        or wanted.content() == CloneRequest.model_validate(made.request).content(),
        held=live.held_at is not None,
    )


def _is_copy(catalog_part: str | None, points_part: str, source: SourceMark) -> bool | None:
    """Whether a plan is of the source as it is; one of an earlier version has no `catalog_part`."""
    if catalog_part != source.catalog:
        return False
    if source.points is None or points_part == source.points:
        return True
    return False if is_told(points_part) else None
