"""Every way in which a clone's records and points can be damaged, and how each is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from clone_pipeline.core.catalog.documents import RECORDS
from clone_pipeline.core.catalog.schema import buckets, objects, taxonomies
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.port import VectorStore

from .making import Making, change
from .source import UUID

Named = set[tuple[str, str, str]]


def damage_records(making: Making) -> Named:
    """Damages every kind of record in every way; what a proof must name."""
    with making.catalog() as connection:
        return {
            *_damage_objects(making, connection),
            *_damage_buckets(making, connection),
            *_damage_small(making, connection, "collection", ("col_1", "col_2")),
            *_damage_small(making, connection, "retriever", ("ret_1", "ret_2")),
            *_damage_taxonomies(making, connection),
        }


def _document(making: Making, connection: Connection, table: Table, *where: Any) -> dict[str, Any]:
    mine = table.c.namespace_key == making.key
    found: dict[str, Any] = connection.execute(
        select(table.c.document).where(mine, *where)
    ).scalar_one()
    return found


def change_document(
    making: Making, connection: Connection, table: Table, field: str, value: Any, *where: Any
) -> None:
    document = _document(making, connection, table, *where)
    connection.execute(
        update(table)
        .where(table.c.namespace_key == making.key, *where)
        .values(document={**document, field: value})
    )


def add_row(making: Making, connection: Connection, table: Table, **values: Any) -> None:
    now = making.stores.clock()
    row = {"namespace_key": making.key, "document": {}, "created_at": now, "updated_at": now}
    connection.execute(insert(table).values(row | values))


def _damage_objects(making: Making, connection: Connection) -> Named:
    mine = objects.c.namespace_key == making.key
    change_document(
        making,
        connection,
        objects,
        "source_details",
        [{"type": "collection", "source_id": "col_1"}],  # the source's
        objects.c.object_id == "obj_1",
    )
    change_document(making, connection, objects, "count", 1.0, objects.c.object_id == "obj_2")
    moved = update(objects).where(mine, objects.c.object_id == "obj_3")
    connection.execute(moved.values(bucket_id=making.new("bucket", "bkt_b")))
    add_row(making, connection, objects, object_id="obj_x", bucket_id=making.new("bucket", "bkt_a"))
    return {
        ("object", "obj_1", "source_details[0].source_id differs"),
        ("object", "obj_2", "count differs"),
        ("object", "obj_3", "bucket_id differs"),
        ("object", "obj_x", "is extra"),
    }


def _damage_buckets(making: Making, connection: Connection) -> Named:
    """A bucket that is removed takes its objects with it."""
    mine = buckets.c.namespace_key == making.key
    a, b, c, d = (making.new("bucket", f"bkt_{letter}") for letter in "abcd")
    change_document(making, connection, buckets, "description", "", buckets.c.bucket_id == a)
    # Its objects go with it.
    connection.execute(
        update(objects)
        .where(objects.c.namespace_key == making.key, objects.c.object_id == "obj_3")
        .values(bucket_id=c)
    )
    connection.execute(delete(buckets).where(mine, buckets.c.bucket_id == b))
    for bucket_id, name in ((c, "for a moment"), (d, "c"), (c, "d")):
        one = update(buckets).where(mine, buckets.c.bucket_id == bucket_id)
        connection.execute(one.values(bucket_name=name))
    add_row(making, connection, buckets, bucket_id="bkt_x", bucket_name="b")
    return {
        ("bucket", a, "description differs"),
        ("bucket", b, "is missing"),
        ("object", "obj_4", "is missing"),
        ("bucket", c, "bucket_name differs"),
        ("bucket", d, "bucket_name differs"),
        ("bucket", "bkt_x", "is extra"),
    }


def _damage_small(
    making: Making, connection: Connection, kind: str, source_ids: tuple[str, str]
) -> Named:
    record = RECORDS[kind]
    table, identity = record.table, record.table.c[record.id_field]
    changed, removed = (making.new(kind, one) for one in source_ids)
    change_document(making, connection, table, "extra_field", 1, identity == changed)
    connection.execute(
        delete(table).where(table.c.namespace_key == making.key, identity == removed)
    )
    added = {record.id_field: f"{kind}_x", str(record.name_field): "another"}
    add_row(making, connection, table, **added)
    return {
        (kind, changed, "extra_field is extra"),
        (kind, removed, "is missing"),
        (kind, f"{kind}_x", "is extra"),
    }


def _damage_taxonomies(making: Making, connection: Connection) -> Named:
    identity = making.new("taxonomy", "tax_1")
    mine = (taxonomies.c.namespace_key == making.key, taxonomies.c.taxonomy_id == identity)
    first, second = (taxonomies.c.version == version for version in (1, 2))
    retriever = {"taxonomy_type": "flat", "retriever_id": "ret_1", "top_k": 1}  # the source's
    change_document(making, connection, taxonomies, "config", retriever, mine[1], first)
    connection.execute(delete(taxonomies).where(*mine, second))
    added = {"taxonomy_id": identity, "version": 3, "taxonomy_name": "kinds"}
    add_row(making, connection, taxonomies, **added)
    return {
        ("taxonomy", f"{identity} version 1", "config.retriever_id differs"),
        ("taxonomy", f"{identity} version 2", "is missing"),
        ("taxonomy", f"{identity} version 3", "is extra"),
    }


def damage_points(vectors: VectorStore, collection: str) -> Named:
    """Damages points in every way, each another one; what a proof must name."""
    vectors.delete_points(collection, [1])
    (second,) = vectors.retrieve(collection, [2])
    vectors.upsert(collection, [second._replace(id=99)])
    for point_id, how, _ in _CHANGES:
        change(vectors, collection, point_id, how)
    named = {
        ("point", str(point_id), field) for point_id, _, fields in _CHANGES for field in fields
    }
    return {("point", "1", "is missing"), ("point", "99", "is extra"), *named}


def _payload(**values: Any) -> Callable[[Point], None]:
    return lambda point: point.payload.update(values)


def _without_title(point: Point) -> None:
    del point.payload["title"]
    point.payload["other"] = None


def _without_words(point: Point) -> None:
    del point.vectors["words"]


def _vector(name: str, value: Any) -> Callable[[Point], None]:
    return lambda point: point.vectors.update({name: value})


_CHANGES: list[tuple[PointId, Callable[[Point], None], tuple[str, ...]]] = [
    (3, _payload(title="another"), ("payload.title",)),
    (4, _payload(count=4.0), ("payload.count",)),
    (5, _without_title, ("payload.title missing", "extra payload.other")),
    (6, _payload(collection_id="col_1"), ("payload.collection_id",)),  # the source's
    (7, _without_words, ("vector words missing",)),
    (8, _vector("image", [8 / 3, 0.5000001]), ("vector image[1]",)),
    (9, _vector("late", [[0.5, 1.0], [2.0, 3.5]]), ("vector late[1][1]",)),
    (UUID, _vector("words", {"indices": [2, 8], "values": [0.25, 1.0]}), ("vector words[7]",)),
    (2, _vector("text", [2 / 7, -0.25, 1.0001]), ("vector text[0]",)),
]
