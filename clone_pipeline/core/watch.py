"""What a refresh looks at: a cheap mark of the source, and what stands in the target.

Looking must cost the same however large the namespace is. So objects are never counted or read:
they have no index by time. The buckets' own counters tell of uploads, the Qdrant server's number
of the last write tells of points. What neither tells, such as an object that is edited in place
on embedded stores, is missed; `max_age_seconds` is for that.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from .catalog import namespaces as catalog
from .catalog.namespaces import Namespace
from .catalog.schema import buckets, clones, collections, retrievers, taxonomies
from .refresh import Target
from .stores import Stores

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


def last_write(stores: Stores, source: Namespace) -> str | None:
    """The Qdrant server's own number of the last write to the source's points.

    None on the embedded store, which admits one process at a time and is not opened for this, and
    where the server does not tell now. Raises WorkError where it cannot be reached.
    """
    with stores.server(source.qdrant_url, source.qdrant_api_key) as server:
        if server is None:
            return None
        return server.last_write(server.resolve(source.qdrant_collection))


def mark(catalog_part: str, points_part: str | None) -> str:
    """One short text for both: letters and digits."""
    return sha256(json.dumps([catalog_part, points_part]).encode()).hexdigest()[:16]


def read_target(
    connection: Connection, organization_id: str, name: str, *, with_points: bool = False
) -> Target:
    """What stands under the target's name; an unfinished first clone counts as nothing.

    `with_points`: the mark of what was copied is one of catalog and points, as the source's is.
    """
    live = catalog.find(connection, organization_id, name)
    if live is None or not live.is_ready:
        return Target()
    # Out of the plan only these: it is long where there are many references.
    query = select(
        clones.c.created_at,
        clones.c.plan["catalog_mark"].as_string().label("catalog_part"),
        clones.c.plan["source_mark"].as_string().label("points_part"),
    )
    made = connection.execute(query.where(clones.c.clone_id == live.clone_id)).first()
    made_at = live.created_at if made is None else made.created_at
    copied = None
    if made is not None and made.catalog_part is not None:  # else it is of an earlier version
        copied = mark(made.catalog_part, made.points_part if with_points else None)
    # Asked of the ledger, which remembers generations that are gone.
    newer = select(clones.c.clone_id).where(
        clones.c.organization_id == organization_id,
        clones.c.namespace_name == name,
        clones.c.phase == "published",
        clones.c.created_at > made_at,
    )
    rolled_back = connection.execute(newer.limit(1)).first() is not None
    return Target(
        clone_id=live.clone_id,
        made_at=made_at,
        copied=copied,
        rolled_back=rolled_back,
        held=rolled_back and live.resumed_at is None,
    )
