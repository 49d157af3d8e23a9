"""A published clone proven again: by its seal, and against its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from clone_pipeline.core.catalog.schema import (
    buckets,
    clones,
    collections,
    namespaces,
    objects,
    retrievers,
    taxonomies,
)
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import Verdict, verify_pair, verify_sealed

from .damage import add_row, change_document, damage_points, damage_records
from .making import NAME, SOURCE, Making, change
from .test_drift import change_source_points, change_source_records
from .test_failures import CONFIG_CHANGES

pytestmark = pytest.mark.outside


def named(verdict: Verdict) -> set[tuple[str, str, str]]:
    return {(one.kind, one.id, one.field) for one in verdict.differences.first}


def pair(stores: Stores) -> Verdict:
    return verify_pair(stores, None, SOURCE, NAME)


def sealed(stores: Stores) -> Verdict:
    return verify_sealed(stores, None, NAME)


@pytest.mark.parametrize("options", [{}, {"preserve_resource_ids": True}, {"description": "mine"}])
def test_what_was_published_is_good(stores_on_each_qdrant: Stores, options: dict[str, Any]) -> None:
    stores = stores_on_each_qdrant
    Making.published(stores, **options)
    assert (sealed(stores).good, sealed(stores).unchanged, named(sealed(stores))) == (
        *(True, True),
        set(),
    )
    assert (pair(stores).good, pair(stores).equal, named(pair(stores))) == (True, True, set())
    assert pair(stores).compared == {
        "buckets": 4,
        "collections": 3,
        "objects": 4,
        "points": 10,
        "retrievers": 2,
        "taxonomies": 1,
    }


@pytest.mark.parametrize("left_out", ["collections", "retrievers", "taxonomies"])
def test_what_was_left_out_is_not_missed(stores: Stores, left_out: str) -> None:
    included = dict.fromkeys(("collections", "retrievers", "taxonomies"), True)
    Making.published(stores, include_resources={**included, left_out: False})
    assert sealed(stores).good
    assert pair(stores).equal is True


def test_damaged_records_are_named(stores_on_each_catalog: Stores) -> None:
    stores = stores_on_each_catalog
    making = Making.published(stores)
    wanted = damage_records(making)
    assert set(sealed(stores).changed_parts) == {
        *("bucket", "object", "collection", "retriever", "taxonomy"),
    }
    verdict = pair(stores)
    assert named(verdict) == wanted
    assert (verdict.good, verdict.unchanged, verdict.equal) == (False, False, False)


def test_damaged_points_are_named(stores_on_each_qdrant: Stores) -> None:
    stores = stores_on_each_qdrant
    making = Making.published(stores)
    with making.target() as target:
        wanted = damage_points(*target)
    assert sealed(stores).changed_parts == ["points"]
    verdict = pair(stores)
    assert named(verdict) == wanted
    assert (verdict.good, verdict.unchanged, verdict.equal) == (False, False, False)


_TABLES = {
    "bucket": buckets,
    "object": objects,
    "collection": collections,
    "retriever": retrievers,
    "taxonomy": taxonomies,
    "namespace": namespaces,
}


@pytest.mark.parametrize("part", _TABLES)
def test_the_seal_names_the_part_that_changed(stores: Stores, part: str) -> None:
    making = Making.published(stores)
    table: Table = _TABLES[part]
    with making.catalog() as connection:
        one = connection.execute(table.select().where(table.c.namespace_key == making.key))
        identity = one.mappings().first()[f"{part}_id"]  # type: ignore[index]
        where = [table.c[f"{part}_id"] == identity]
        if part == "taxonomy":
            where.append(table.c.version == 1)
        change_document(making, connection, table, "extra_field", 1, *where)
    assert sealed(stores).changed_parts == [part]
    assert not sealed(stores).good
    ((kind, _, field),) = named(pair(stores))
    assert (kind, field) == (part, "extra_field is extra")


_POINT_CHANGES: dict[str, Callable[[Any, str], None]] = {
    "gone": lambda vectors, name: vectors.delete_points(name, [3]),
    "payload": lambda vectors, name: change(
        vectors, name, 3, lambda point: point.payload.update(count=3.0)
    ),
    "vector": lambda vectors, name: change(
        vectors, name, 3, lambda point: point.vectors.update(image=[1.0, 0.5000001])
    ),
    "cosine vector": lambda vectors, name: change(
        vectors, name, 3, lambda point: point.vectors.update(text=[3 / 7, -0.25, 1.00001])
    ),
}


@pytest.mark.parametrize("what", _POINT_CHANGES)
def test_the_seal_sees_one_changed_point(stores_on_each_qdrant: Stores, what: str) -> None:
    making = Making.published(stores_on_each_qdrant)
    with making.target() as (vectors, collection):
        _POINT_CHANGES[what](vectors, collection)
    assert sealed(stores_on_each_qdrant).changed_parts == ["points"]


def test_a_clone_that_was_only_counted_is_counted_again(stores: Stores) -> None:
    making = Making.published(stores, verify="counts")
    assert sealed(stores).good
    with making.target() as (vectors, collection):
        vectors.delete_points(collection, [3])
    assert sealed(stores).changed_parts == ["points"]


def test_a_clone_that_a_program_of_the_first_schema_sealed_is_verified(stores: Stores) -> None:
    """Its seal has one digest of all points, which points have not any more."""
    making = Making.published(stores)
    with stores.catalog.write() as connection:
        seal = connection.execute(select(clones.c.seal)).scalar_one()
        seal["points"] = {"count": seal["points"]["count"], "digest": "c1aea402fd6e64589ac2c1850a"}
        connection.execute(update(clones).values(seal=seal))
    assert sealed(stores).good
    assert sealed(stores).sentence.endswith("its points as far as their number tells.")
    assert pair(stores).equal is True
    with stores.vectors() as vectors:
        name = making.clone.qdrant_collection
        vectors.delete_points(name, [vectors.scroll(name, 1).points[0].id])
    assert sealed(stores).changed_parts == ["points"]
    assert not pair(stores).good


def test_a_changed_qdrant_configuration_in_the_catalog(stores: Stores) -> None:
    making = Making.published(stores)
    changed = {**making.clone.plan["qdrant_config"], "hnsw_config": {"m": 9}}
    with making.catalog() as connection:
        mine = namespaces.c.namespace_key == making.key
        connection.execute(update(namespaces).where(mine).values(qdrant_config=changed))
    assert sealed(stores).changed_parts == ["qdrant config"]
    where = f"{making.clone.qdrant_collection} in the catalog"
    assert named(pair(stores)) == {
        ("qdrant config", where, "hnsw_config.m differs"),
        ("qdrant config", where, "hnsw_config.ef_construct is missing"),
    }


@pytest.mark.parametrize("what", CONFIG_CHANGES)
def test_a_qdrant_collection_that_is_configured_otherwise(
    stores_on_a_server: Stores, what: str
) -> None:
    making = Making.published(stores_on_a_server)
    configure, field = CONFIG_CHANGES[what]
    with making.target() as (vectors, collection):
        configure(vectors, collection)
    assert sealed(stores_on_a_server).changed_parts == ["qdrant config"]
    assert ("qdrant config", making.clone.qdrant_collection, field) in named(
        pair(stores_on_a_server)
    )


def test_a_renamed_clone(stores: Stores) -> None:
    making = Making.published(stores)
    with making.catalog() as connection:
        mine = namespaces.c.namespace_key == making.key
        connection.execute(update(namespaces).where(mine).values(namespace_name="renamed"))
    assert verify_sealed(stores, None, "renamed").changed_parts == ["namespace"]
    identity = making.clone.plan["target"]["namespace_id"]
    assert named(verify_pair(stores, None, SOURCE, "renamed")) == {
        ("namespace", identity, "namespace_name differs")
    }


def test_a_qdrant_collection_that_is_gone(stores: Stores) -> None:
    making = Making.published(stores)
    with making.target() as (vectors, collection):
        vectors.delete(collection)
    assert sealed(stores).changed_parts == ["points (the Qdrant collection is gone)"]
    assert named(pair(stores)) == {("qdrant config", making.clone.qdrant_collection, "is gone")}
    assert not pair(stores).good


def test_a_source_that_moves_on_is_no_damage(stores_on_each_qdrant: Stores) -> None:
    stores = stores_on_each_qdrant
    making = Making.published(stores)
    change_source_points(making)
    change_source_records(making)
    with making.catalog() as connection:
        source = namespaces.c.namespace_key == making.clone.source_namespace_key
        document = {"infrastructure": {"qdrant_collection": making.source_collection()}}
        connection.execute(update(namespaces).where(source).values(document=document))
    verdict = pair(stores)
    assert (verdict.good, verdict.unchanged, verdict.equal) == (True, True, False)
    assert "source has moved on" in verdict.sentence
    assert {
        ("namespace", making.clone.plan["target"]["namespace_id"], "description is extra"),
        ("bucket", "bkt_new", "is missing"),
        ("object", "obj_new", "is missing"),
        ("retriever", making.new("retriever", "ret_2"), "is extra"),
        ("point", "50", "is missing"),
        ("point", "2", "is extra"),
        ("point", "3", "payload.title"),
    } < named(verdict)
    assert sealed(stores).good


def test_damage_is_told_from_drift_when_both_have_happened(stores: Stores) -> None:
    making = Making.published(stores)
    change_source_points(making)
    with making.catalog() as connection:
        add_row(making, connection, buckets, bucket_id="bkt_x", bucket_name="x")
    verdict = pair(stores)
    assert (verdict.good, verdict.unchanged, verdict.changed_parts) == (False, False, ["bucket"])


def test_only_a_published_clone_of_that_source_can_be_verified(stores: Stores) -> None:
    with pytest.raises(Conflict, match="is not a clone"):
        verify_sealed(stores, None, SOURCE)
    making = Making.until_copied(stores)
    with pytest.raises(Conflict, match="is not published"):
        verify_sealed(stores, None, NAME)
    making.prove()
    making.publish()
    with pytest.raises(Conflict, match="is a clone of 'prod', not of 'copy'"):
        verify_pair(stores, None, NAME, NAME)
