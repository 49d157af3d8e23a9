"""What no repair puts right fails the clone, named by resource and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update

from clone_pipeline.core.catalog.schema import clone_resources, namespaces, objects, retrievers
from clone_pipeline.core.errors import VerificationFailed
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.port import VectorStore

from .damage import change_document
from .making import Making, change


def refused(making: Making) -> list[tuple[str, str, str]]:
    """The differences that fail the proof."""
    with pytest.raises(VerificationFailed) as caught:
        making.prove()
    differences = [tuple(one.values()) for one in caught.value.details["differences"]]
    assert differences
    for part in differences[0]:
        assert part in caught.value.message
    assert making.status() == "cloning"  # whoever runs the step marks it failed
    return differences  # type: ignore[return-value]


def test_a_changed_namespace_document(stores: Stores) -> None:
    making = Making.until_copied(stores)
    with making.catalog() as connection:
        change_document(making, connection, namespaces, "description", "another")
    named = ("namespace", making.clone.plan["target"]["namespace_id"], "description differs")
    assert refused(making) == [named]


def test_a_renamed_namespace(stores: Stores) -> None:
    making = Making.until_copied(stores)
    with making.catalog() as connection:
        mine = namespaces.c.namespace_key == making.key
        connection.execute(update(namespaces).where(mine).values(namespace_name="other"))
    named = ("namespace", making.clone.plan["target"]["namespace_id"], "namespace_name differs")
    assert refused(making) == [named]


def test_a_changed_qdrant_configuration_in_the_catalog(stores: Stores) -> None:
    making = Making.until_copied(stores)
    config = making.clone.plan["qdrant_config"]
    changed = {**config, "hnsw_config": {"m": 9, "ef_construct": 64}}
    with making.catalog() as connection:
        mine = namespaces.c.namespace_key == making.key
        connection.execute(update(namespaces).where(mine).values(qdrant_config=changed))
    where = f"{making.clone.qdrant_collection} in the catalog"
    assert refused(making) == [("qdrant config", where, "hnsw_config.m differs")]


def test_an_id_of_the_source_that_the_plan_has_missed(stores: Stores) -> None:
    """The target is as planned, and wrong all the same."""
    making = Making.until_copied(stores)
    identity = making.new("retriever", "ret_1")
    wrong = {"collection_ids": ["col_1"], "stages": []}
    with making.catalog() as connection:
        connection.execute(
            update(clone_resources)
            .where(clone_resources.c.clone_id == making.clone.clone_id)
            .where(clone_resources.c.target_id == identity)
            .values(document=wrong)
        )
        connection.execute(
            update(retrievers)
            .where(retrievers.c.namespace_key == making.key)
            .where(retrievers.c.retriever_id == identity)
            .values(document=wrong)
        )
    assert refused(making) == [
        ("retriever", identity, "collection_ids[0] still holds the source's col_1")
    ]


_DISOBEYS = {
    "retrievers": (
        "retriever",
        lambda making: making.new("retriever", "ret_1"),
        "stages is missing",
    ),
    "objects": ("object", lambda _: "obj_2", "title is missing"),
}


@pytest.mark.parametrize("table", _DISOBEYS)
def test_a_record_that_stays_wrong(stores: Stores, table: str) -> None:
    """A store that does not keep what is written."""
    making = Making.until_copied(stores)
    kind, identity, field = _DISOBEYS[table]
    mine = f"namespace_key = {making.key} AND {kind}_id = '{identity(making)}'"
    spoil = f"UPDATE {table} SET document = '{{}}' WHERE {mine}"
    with making.catalog() as connection:
        connection.execute(text(spoil))
        for event in ("INSERT", "UPDATE"):
            trigger = f"CREATE TRIGGER keeps_{event} AFTER {event} ON {table}"
            connection.execute(text(f"{trigger} WHEN NEW.document != '{{}}' BEGIN {spoil}; END"))
    differences = refused(making)
    assert (kind, identity(making), field) in differences
    assert {(one, two) for one, two, _ in differences} == {(kind, identity(making))}


def test_a_point_that_stays_wrong(
    stores_on_each_qdrant: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = Making.until_copied(stores_on_each_qdrant)

    def spoil(point: Point) -> None:
        point.payload["title"] = "another"
        point.vectors.pop("words")

    with making.target() as (vectors, collection):
        change(vectors, collection, 3, spoil)
        disobey(monkeypatch, type(vectors))
    assert sorted(refused(making)) == [
        ("point", "3", "payload.title"),
        ("point", "3", "vector words missing"),
    ]


def disobey(monkeypatch: pytest.MonkeyPatch, store: type[VectorStore]) -> None:
    """Writes are lost."""
    for way in ("upsert", "write", "delete_points"):
        monkeypatch.setattr(store, way, lambda *_: None)


@pytest.mark.parametrize("how", ["counts", "sample"])
def test_a_missing_point_is_missed_by_its_number(stores: Stores, how: str) -> None:
    making = Making.until_copied(stores, verify=how)
    with making.target() as (vectors, collection):
        extra: list[Any] = [
            point._replace(id=point.id + 1000)
            for point in vectors.retrieve(collection, [1, 2])
            if isinstance(point.id, int)
        ]
        vectors.upsert(collection, extra)
    assert refused(making) == [("point", "count", "10 were copied, 12 are there")]


CONFIG_CHANGES: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "hnsw": (
        lambda store, name: _patch(store, name, {"hnsw_config": {"m": 9}}),
        "hnsw_config.m differs",
    ),
    "quantization": (
        lambda store, name: _patch(store, name, {"quantization_config": "Disabled"}),
        "quantization_config is missing",
    ),
    "a vector's own setting": (
        lambda store, name: _patch(store, name, {"vectors": {"image": {"on_disk": False}}}),
        "vectors.image.on_disk differs",
    ),
    "an extra index": (
        lambda store, name: _index(store, name, "other", "bool"),
        "payload_schema.other is extra",
    ),
    "another index": (
        lambda store, name: _index(store, name, "count", {"type": "integer", "range": False}),
        "payload_schema.count.params.range differs",
    ),
}


def _patch(store: Any, collection: str, body: dict[str, Any]) -> None:
    store.rest.ask("PATCH", "", collection, json.dumps(body).encode())


def _index(store: Any, collection: str, field: str, schema: Any) -> None:
    body = json.dumps({"field_name": field, "field_schema": schema}).encode()
    store.rest.ask("PUT", "/index", collection, body, wait=True)


@pytest.mark.parametrize("what", CONFIG_CHANGES)
def test_a_qdrant_collection_that_is_configured_otherwise(
    stores_on_a_server: Stores, what: str
) -> None:
    making = Making.until_copied(stores_on_a_server)
    configure, field = CONFIG_CHANGES[what]
    with making.target() as (vectors, collection):
        configure(vectors, collection)
    assert ("qdrant config", making.clone.qdrant_collection, field) in refused(making)


def test_a_payload_index_that_was_dropped_is_made_again(stores_on_a_server: Stores) -> None:
    making = Making.until_copied(stores_on_a_server)
    with making.target() as (vectors, collection):
        before = vectors.read_config(collection)
        vectors.rest.ask("DELETE", "/index/count", collection, wait=True)  # type: ignore[attr-defined]
    report = making.step("verify_clone")
    assert report.details["repaired"] == 1
    assert [one["field"] for one in report.details["differences_first"]] == [
        "payload_schema.count is missing"
    ]
    with making.target() as (vectors, collection):
        assert vectors.read_config(collection) == before


def test_a_failed_proof_is_made_again_by_the_next_run(stores: Stores) -> None:
    making = Making.until_copied(stores)
    with making.catalog() as connection:
        change_document(making, connection, namespaces, "description", "another")
    refused(making)
    with making.catalog() as connection:
        change_document(making, connection, namespaces, "description", "the original")
        assert connection.execute(
            objects.select().where(objects.c.namespace_key == making.key)
        ).first()
    making.prove()
    making.publish()
    assert making.status() == "ready"
