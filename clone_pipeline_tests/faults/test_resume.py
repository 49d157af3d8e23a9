"""A clone that failed: it says so, and can be gone on with, or taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import NOW, rows

from .bundles import BUCKETS, NAME, QDRANT, ROWS, small_namespace
from .checks import Source, assert_whole, look_at_source
from .place import Place

pytestmark = pytest.mark.outside

CLONE = ("clone", NAME, "copy", "--taxonomies")


@pytest.mark.long
def test_a_clone_that_failed_half_way_says_so_and_can_be_resumed(
    place: Place, before: Source, tmp_path: Path
) -> None:
    failed = place.run(*CLONE, fail=["copy_points:upsert:after", 2])
    assert failed.code == 1
    assert "injected at copy_points:upsert:after" in failed.sentence
    shown = place.json("show", "copy")
    assert (shown["clone_status"], shown["namespace_ready"]) == ("failed", False)
    assert "injected" in shown["clone_error"]
    with place.stores() as stores, stores.catalog.read() as connection:
        [made] = ledger_of(stores)
        assert ledger.points_copied(connection, made.clone_id) == 25
    place.good("resume", "copy")
    assert_whole(place, "copy", before, tmp_path / "scratch")


@pytest.mark.long
def test_a_clone_that_failed_half_way_can_be_deleted(
    place: Place, before: Source, tmp_path: Path
) -> None:
    assert place.run(*CLONE, fail=["copy_points:upsert:after", 2]).code == 1
    place.good("delete", "copy", "--yes")
    with place.stores() as stores:
        found = rows(stores.catalog)
        assert [made.status for made in ledger_of(stores)] == ["discarded"]
    assert {name: found[name] for name in ("namespaces", *ROWS)} == {"namespaces": 1, **ROWS}
    assert "clone_resources" not in found
    assert "clone_slices" not in found
    assert [path.name for path in (place.home / "qdrant" / "collection").iterdir()] == [QDRANT]
    assert look_at_source(place, tmp_path / "dump") == before


def ledger_of(stores: Stores) -> list[Clone]:
    with stores.catalog.read() as connection:
        found = connection.execute(schema.clones.select()).mappings()
        return [Clone.of(row) for row in found]


# ---- a source that changes before the clone goes on ------------------------------------------


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(tmp_path, small_namespace(points=10, objects=6)) as stores:
        yield stores


def clone(stores: Stores, **options: Any) -> Clone:
    return harness.clone(stores, NAME, "copy", include_resources=harness.everything(), **options)


def add_collection(stores: Stores) -> None:
    with stores.catalog.write() as connection:
        source = namespaces.resolve(connection, None, NAME)
        connection.execute(
            insert(schema.collections).values(
                namespace_key=source.key,
                collection_id="col_srcAAAAA9",
                collection_name="later",
                document={"source": {"type": "bucket", "bucket_ids": [BUCKETS[0]]}},
                created_at=NOW,
                updated_at=NOW,
            )
        )


def stop_before(stores: Stores, step: str) -> Clone:
    begun = clone(stores, run_id="first", until=step)
    ledger.fail(stores, begun.clone_id, "first", "It died.")
    return begun


def test_before_the_first_write_it_is_planned_anew_with_the_same_ids(stores: Stores) -> None:
    begun = stop_before(stores, "clone_config")
    add_collection(stores)
    resumed = clone(stores)
    assert resumed.clone_id == begun.clone_id
    assert resumed.plan["warnings"][0] == "Planned anew: 1 collection added in the source."
    before = {(item["kind"], item["source_id"]): item["target_id"] for item in begun.plan["id_map"]}
    after = {
        (item["kind"], item["source_id"]): item["target_id"] for item in resumed.plan["id_map"]
    }
    added = after.keys() - before.keys()
    assert added == {("collection", "col_srcAAAAA9")}
    assert {key: after[key] for key in before} == before
    assert resumed.response is not None
    assert resumed.response["cloned_resources"]["collections"] == ROWS["collections"] + 1


def test_a_source_that_did_not_change_is_planned_anew_without_a_word(stores: Stores) -> None:
    begun = stop_before(stores, "clone_config")
    resumed = clone(stores)
    assert resumed.plan["warnings"] == begun.plan["warnings"]


def test_after_the_first_write_the_stored_plan_is_run(stores: Stores) -> None:
    begun = stop_before(stores, "clone_collections")
    add_collection(stores)
    resumed = clone(stores)
    assert resumed.plan == begun.plan
    assert resumed.response is not None
    assert resumed.response["cloned_resources"]["collections"] == ROWS["collections"]
