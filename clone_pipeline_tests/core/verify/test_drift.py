"""A source that changes while it is cloned is told so, and never fails the clone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from clone_pipeline.core.catalog.schema import buckets, collections, objects, retrievers
from clone_pipeline.core.stores import Stores

from ... import harness
from .damage import add_row, change_document
from .making import NAME, SOURCE, Making, change

QUIET = {"state": "quiet", "at_least": {}}


def change_source_points(making: Making) -> None:
    name = making.source_collection()
    with making.stores.vectors() as vectors:
        (first,) = vectors.retrieve(name, [1])
        vectors.upsert(name, [first._replace(id=50), first._replace(id=51)])
        vectors.delete_points(name, [2])
        change(vectors, name, 3, lambda point: point.payload.update(title="another"))


def change_source_records(making: Making) -> None:
    source_key = making.clone.source_namespace_key
    with making.catalog() as connection:
        now = making.stores.clock()
        base = {"namespace_key": source_key, "document": {}, "created_at": now, "updated_at": now}
        connection.execute(
            insert(buckets).values(base | {"bucket_id": "bkt_new", "bucket_name": "new"})
        )
        for object_id, bucket in (("obj_0", "bkt_new"), ("obj_new", "bkt_a")):
            connection.execute(
                insert(objects).values(base | {"object_id": object_id, "bucket_id": bucket})
            )
        connection.execute(
            delete(retrievers).where(
                retrievers.c.namespace_key == source_key, retrievers.c.retriever_id == "ret_2"
            )
        )
        connection.execute(
            update(collections)
            .where(collections.c.namespace_key == source_key)
            .values(document={"description": "another"})
        )


def prove_and_publish(making: Making) -> dict[str, Any]:
    drift: dict[str, Any] = making.prove().details["drift"]
    making.publish()
    assert making.status() == "ready"
    return drift


def test_a_source_that_stays_is_quiet(stores_on_each_qdrant: Stores) -> None:
    making = Making.until_copied(stores_on_each_qdrant)
    assert prove_and_publish(making) == QUIET


@pytest.mark.parametrize("verify", ["full", "sample", "counts"])
def test_points_that_come_go_and_change(stores_on_each_qdrant: Stores, verify: str) -> None:
    making = Making.until_copied(stores_on_each_qdrant, verify=verify)
    change_source_points(making)
    drift = prove_and_publish(making)
    assert drift == {"state": "moving", "at_least": {"points": 1}}


def test_records_that_come_go_and_change(stores_on_each_catalog: Stores) -> None:
    making = Making.until_copied(stores_on_each_catalog)
    change_source_records(making)
    drift = prove_and_publish(making)
    assert drift["state"] == "moving"
    assert drift["at_least"] == {"buckets": 1, "collections": 3, "objects": 2, "retrievers": 1}


def test_an_object_that_changes(stores: Stores) -> None:
    making = Making.until_copied(stores)
    with making.catalog() as connection:
        connection.execute(
            update(objects)
            .where(objects.c.namespace_key == making.clone.source_namespace_key)
            .where(objects.c.object_id == "obj_2")
            .values(document={"title": "another"})
        )
    assert prove_and_publish(making) == {"state": "moving", "at_least": {"objects": 1}}


def test_what_is_damaged_is_copied_again_from_what_the_source_has_become(stores: Stores) -> None:
    making = Making.until_copied(stores)
    change_source_records(making)
    with making.catalog() as connection:
        change_document(
            making, connection, objects, "title", "spoilt", objects.c.object_id == "obj_2"
        )
    proof = making.prove()
    named = {tuple(one.values()) for one in proof.details["differences_first"]}
    # obj_0 is in a bucket that the plan does not have.
    assert named == {("object", "obj_2", "title differs"), ("object", "obj_new", "is missing")}
    assert proof.shown["counted"]["objects"] == 5
    making.publish()
    assert making.status() == "ready"


def test_a_bucket_that_comes_after_the_plan_is_not_part_of_the_clone(stores: Stores) -> None:
    options = {"include_resources": harness.everything()}
    begun = harness.clone(stores, SOURCE, NAME, until="clone_buckets", **options)
    making = Making(stores, begun)
    change_source_records(making)
    for step in ("buckets", "collections", "retrievers", "taxonomies"):
        making.step(f"clone_{step}")
    making.step("copy_points")
    assert prove_and_publish(making)["state"] == "moving"
    with stores.catalog.read() as connection:
        mine = objects.select().where(objects.c.namespace_key == making.key)
        assert {row.object_id for row in connection.execute(mine)} == {
            *("obj_1", "obj_2", "obj_3", "obj_4", "obj_new")
        }


def _add_index(vectors: Any, collection: str) -> None:
    body = {"field_name": "other", "field_schema": "bool"}
    vectors.rest.ask("PUT", "/index", collection, json.dumps(body).encode(), wait=True)


def _change_hnsw(vectors: Any, collection: str) -> None:
    body = {"hnsw_config": {"m": 9}}
    vectors.rest.ask("PATCH", "", collection, json.dumps(body).encode())


@pytest.mark.parametrize("configure", [_add_index, _change_hnsw])
def test_a_source_that_is_configured_otherwise_meanwhile(
    stores_on_a_server: Stores, configure: Callable[[Any, str], None]
) -> None:
    making = Making.until_copied(stores_on_a_server)
    with making.stores.vectors() as vectors:
        configure(vectors, making.source_collection())
    assert prove_and_publish(making) == {"state": "moving", "at_least": {"qdrant_config": 1}}


def test_a_row_of_the_clone_is_no_drift(stores: Stores) -> None:
    making = Making.until_copied(stores)
    with making.catalog() as connection:
        add_row(making, connection, buckets, bucket_id="bkt_x", bucket_name="x")
    proof = making.prove()
    assert proof.details["drift"] == QUIET
    assert proof.details["repaired"] == 1
