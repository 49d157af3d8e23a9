"""`verify: full`, `sample` and `counts`: what each looks at, and says that it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.namespaces import by_key
from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.points import progress
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.core.verify import verify_pair, verify_sealed

from .making import NAME, SOURCE, Making, change


def spoil(making: Making, *point_ids: int) -> None:
    with making.target() as (vectors, collection):
        for one in point_ids:
            change(vectors, collection, one, lambda point: point.payload.update(title="spoilt"))


def titles(making: Making) -> set[str]:
    with making.target() as (vectors, collection):
        return {point.payload["title"] for point in vectors.scroll(collection, 100).points}


def test_counts_looks_at_no_point(stores_on_each_qdrant: Stores) -> None:
    making = Making.until_copied(stores_on_each_qdrant, verify="counts")
    spoil(making, 1, 2)
    proof = making.prove()
    assert (proof.shown["proven"], proof.details["points_compared"]) == ("counts", 0)
    assert proof.shown["seal"]["points"] == {"count": 10, "slices": None}
    assert proof.details["differences"] == 0
    assert "spoilt" in titles(making)
    assert making.step("publish_clone").shown["proven"] == "counts"


def test_sample_looks_at_a_number_of_each_collection(
    stores_on_each_qdrant: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAMPLED", 2)
    making = Making.until_copied(stores_on_each_qdrant, verify="sample")
    spoil(making, *range(1, 10))
    proof = making.prove()
    # Two of each of two collections; the one with a UUID as its id is not spoilt.
    assert proof.details["points_compared"] == 4
    found = proof.details["differences_first"]
    assert len(found) in (3, 4)
    assert {one["field"] for one in found} == {"payload.title"}
    assert proof.details["repaired"] == len(found)
    making.publish()
    assert making.status() == "ready"


def test_sample_looks_at_all_where_there_are_few(stores_on_each_qdrant: Stores) -> None:
    making = Making.until_copied(stores_on_each_qdrant, verify="sample")
    spoil(making, 1, 2)
    proof = making.prove()
    assert (proof.shown["proven"], proof.details["points_compared"]) == ("sample", 10)
    assert [one["id"] for one in proof.details["differences_first"]] in (["1", "2"], ["2", "1"])
    assert "spoilt" not in titles(making)
    making.publish()
    assert making.status() == "ready"


def test_full_looks_at_every_point_and_says_how(stores_on_each_qdrant: Stores) -> None:
    making = Making.until_copied(stores_on_each_qdrant)
    proof = making.prove()
    assert (proof.shown["proven"], proof.details["points_compared"]) == ("full", 10)
    assert proof.details["source_ids_left"] == 0
    embedded = making.stores.vector_address.url is None
    how = "text within 1e-06 after normalising" if embedded else "(what the server gives back"
    assert how in proof.details["equality"]
    assert proof.shown["counted"] == {
        "buckets": 4,
        "collections": 3,
        "objects": 4,
        "points": 10,
        "retrievers": 2,
        "taxonomies": 1,
    }


def test_without_collections_there_are_no_points_to_look_at(stores: Stores) -> None:
    included = {"collections": False, "retrievers": True, "taxonomies": True}
    making = Making.until_copied(stores, include_resources=included)
    proof = making.prove()
    assert (proof.details["points_compared"], proof.shown["counted"]["points"]) == (0, 0)
    making.publish()
    assert making.status() == "ready"


def test_a_source_on_a_server_of_its_own_is_cloned_into_the_embedded_store(
    stores_on_a_server: Stores, qdrant_url: str, tmp_path: Path
) -> None:
    """Which keeps little of a configuration, and other vectors than a server gives back."""
    with stores_on_a_server.catalog.write() as connection:
        connection.execute(update(namespaces).values(qdrant_url=qdrant_url, qdrant_config=None))
    address = VectorAddress(tmp_path / "qdrant")
    making = Making.published(replace(stores_on_a_server, vector_address=address))
    assert verify_sealed(making.stores, None, NAME).good
    assert verify_pair(making.stores, None, SOURCE, NAME).equal is True
    asked = making.clone.plan["qdrant_config"]
    assert asked["payload_schema"]["count"]["params"]["lookup"] is False
    with making.stores.catalog.read() as connection:
        assert by_key(connection, making.key).qdrant_config == asked


def test_on_a_server_a_source_is_read_once(
    stores_on_a_server: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal digests are the proof: production is not read for it again."""
    making = Making.until_copied(stores_on_a_server)
    with making.target() as (vectors, _):
        store: type[VectorStore] = type(vectors)
    read = []
    inner = store.read

    def noted(self: VectorStore, collection: str, *rest: object) -> object:
        read.append(collection)
        return inner(self, collection, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", noted)
    making.prove()
    assert set(read) == {making.clone.qdrant_collection}


def test_on_a_server_the_configuration_and_every_bit_come_over(stores_on_a_server: Stores) -> None:
    making = Making.published(stores_on_a_server)
    new = making.new("taxonomy", "tax_1")
    with making.target() as (vectors, collection):
        before, after = (
            vectors.read_config(name) for name in (making.source_collection(), collection)
        )
        points = [
            vectors.scroll(name, 100).points for name in (making.source_collection(), collection)
        ]
    schema = before["payload_schema"]
    schema[f"_internal._taxonomy_{new}_label"] = schema.pop("_internal._taxonomy_tax_1_label")
    assert after == before
    assert after["hnsw_config"]["m"] == 8
    assert after["quantization_config"]["scalar"]["quantile"] == 0.99
    assert schema["count"]["params"] == {"type": "integer", "lookup": False, "range": True}
    assert schema["_internal.collection_id"]["params"]["is_tenant"] is True
    assert [one.vectors for one in points[0]] == [one.vectors for one in points[1]]
    assert [one.id for one in points[0]] == [one.id for one in points[1]]
