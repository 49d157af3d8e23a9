"""Whole clones on a real server, compared by a reader and an expectation of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import RowMapping, select, update

from clone_pipeline.core.catalog.schema import clone_slices, namespaces
from clone_pipeline.core.errors import WorkError
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.points import pages
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ... import harness
from ...faults.rest import ask
from ..vectors.corpus import stored
from .making import NAME, SOURCE, Making
from .many import CONFIG, assert_equal, exact, point, stores_with

DENSE = CONFIG["vectors"]


def _each(**settings: Any) -> dict[str, Any]:
    """The vectors, each with these settings of its own."""
    return {name: params | settings for name, params in DENSE.items()}


CONFIGS: dict[str, dict[str, Any]] = {
    "scalar": {
        "quantization_config": {"scalar": {"type": "int8", "quantile": 0.98, "always_ram": True}}
    },
    "product": {"quantization_config": {"product": {"compression": "x8", "always_ram": False}}},
    "binary": {"quantization_config": {"binary": {"encoding": "two_bits", "always_ram": True}}},
    "turbo": {"quantization_config": {"turbo": {"bits": "bits2", "always_ram": True}}},
    "one kind for each vector": {
        "vectors": {
            "text": DENSE["text"] | {"quantization_config": {"binary": {"always_ram": True}}},
            "title": DENSE["title"] | {"quantization_config": {"product": {"compression": "x4"}}},
            "image": DENSE["image"] | {"quantization_config": {"scalar": {"type": "int8"}}},
            "late": DENSE["late"] | {"quantization_config": {"turbo": {}}},
        }
    },
    "on disk": {
        "vectors": _each(on_disk=True, hnsw_config={"m": 24, "on_disk": True}),
        "sparse_vectors": {"words": {"modifier": "idf", "index": {"on_disk": True}}},
        "on_disk_payload": True,
        "payload_schema": {"count": {"type": "integer", "on_disk": True}},
        "hnsw_config": {"m": 8, "ef_construct": 80, "payload_m": 6, "on_disk": True},
    },
    "shards, optimizers and metadata": {
        "shard_number": 3,
        "optimizers_config": {"indexing_threshold": 7000, "max_optimization_threads": 1},
        "wal_config": {"wal_capacity_mb": 4, "wal_segments_ahead": 0},
        "metadata": {"team": "search", "": None},
    },
    "strict mode": {
        "strict_mode_config": {
            "enabled": True,
            "max_query_limit": 40,
            "upsert_max_batchsize": 60,
            "unindexed_filtering_retrieve": False,
            "unindexed_filtering_update": False,
            "search_allow_exact": False,
        }
    },
}


def with_new_names(config: dict[str, Any], clone: Clone) -> dict[str, Any]:
    new = clone.plan["ids"]["ids"]["taxonomy"]["tax_1"]
    schema = {
        field.replace("_taxonomy_tax_1_", f"_taxonomy_{new}_"): params
        for field, params in config["payload_schema"].items()
    }
    return config | {"payload_schema": schema}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_clone_has_every_point_and_the_configuration(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 40)
    with stores_with(qdrant_url, tmp_path, 150, **CONFIGS[what]) as stores:
        with stores.vectors() as vectors:
            assert vectors.transport == "gRPC"
        making = Making.published(stores)
        assert making.status() == "ready"
        assert making.clone.plan["slices"] >= 3
        assert_equal(making, page=40)
        with making.target() as (vectors, collection):
            before = vectors.read_config(making.source_collection())
            assert vectors.read_config(collection) == with_new_names(before, making.clone)
        for key, value in CONFIGS[what].items():
            if key not in ("vectors", "sparse_vectors", "payload_schema"):
                assert_part_of(value, before[key])
        assert verify_sealed(stores, None, NAME).good
        assert verify_pair(stores, None, SOURCE, NAME).equal is True


def assert_part_of(asked: Any, there: Any) -> None:
    """The server has taken it: else the test would prove nothing."""
    if not isinstance(asked, dict):
        assert asked == there
        return
    for key, value in asked.items():
        assert_part_of(value, there[key])


def test_an_alias_in_the_catalog_stands_for_its_collection(qdrant_url: str, tmp_path: Path) -> None:
    with stores_with(qdrant_url, tmp_path, 30) as stores, aliased(stores, qdrant_url) as alias:
        making = Making.published(stores)
        assert making.source_collection() == alias
        assert making.clone.plan["source"]["qdrant_collection"] != alias
        assert_equal(making)
        warnings = [one for one in making.clone.plan["warnings"] if "alias" in one]
        assert len(warnings) == 2
        for name, warning in zip(sorted((alias, f"{alias} too")), warnings, strict=True):
            assert warning.startswith(
                f"The alias {name!r} points at the source's Qdrant collection"
            )
        assert verify_pair(stores, None, SOURCE, NAME).equal is True


@contextmanager
def aliased(stores: Stores, url: str) -> Iterator[str]:
    """The source's collection is named by an alias, and has another one too."""
    with stores.catalog.write() as connection:
        document = connection.execute(select(namespaces.c.document)).scalar_one()
        name = document["infrastructure"]["qdrant_collection"]
        alias = f"alias of {name}"
        aliases = (alias, f"{alias} too")
        ask(url, "/collections/aliases", {"actions": [_alias(name, one) for one in aliases]})
        infrastructure = document["infrastructure"] | {"qdrant_collection": alias}
        connection.execute(
            update(namespaces).values(document=document | {"infrastructure": infrastructure})
        )
    try:
        yield alias
    finally:
        ask(url, f"/collections/{name}", method="DELETE")


def _alias(collection: str, alias: str) -> dict[str, Any]:
    return {"create_alias": {"collection_name": collection, "alias_name": alias}}


# ---- slices ----------------------------------------------------------------------------------


def test_the_number_of_workers_makes_no_difference(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 25)
    with stores_with(qdrant_url, tmp_path, 220) as stores:
        for workers in (1, 2, 8):
            options: dict[str, Any] = {"include_resources": harness.everything()}
            clone = harness.clone(
                stores, SOURCE, f"by {workers}", concurrent_slices=workers, **options
            )
            making = Making(stores, clone)
            assert making.step("copy_points").details["slices_at_once"] == workers
            assert clone.plan["slices"] >= 8
            assert_equal(making)


SMALL = 12_100


def small(number: int) -> Point:
    id = point(number).id
    return Point(id, {}, {"collection_id": "col_1", "n": number})


def slice_rows(stores: Stores, clone_id: str) -> list[RowMapping]:
    query = select(clone_slices).where(clone_slices.c.clone_id == clone_id)
    with stores.catalog.read() as connection:
        rows = connection.execute(query.order_by(clone_slices.c.slice)).mappings()
        return list(rows)


def place(point_id: str) -> tuple[bool, int, str]:
    """Qdrant's order of ids: integers, then UUIDs."""
    return (False, int(point_id), "") if point_id.isdigit() else (True, 0, point_id)


def in_slice(bounds: dict[str, Any]) -> Callable[[str], bool]:
    first, until = bounds["first"], bounds["until"]
    return lambda id: (
        (first is None or place(str(first)) <= place(id))
        and (until is None or place(id) < place(str(until)))
    )


def test_slices_cover_every_id_once_and_stay_the_same_when_a_clone_is_resumed(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"include_resources": harness.everything()}
    with stores_with(qdrant_url, tmp_path, SMALL, small, vectors={}, sparse_vectors={}) as stores:
        monkeypatch.setattr(pages, "LARGEST_PAGE", 500)
        with monkeypatch.context() as patched:
            break_down(patched, at=9)
            with pytest.raises(WorkError, match="broken down"):
                harness.clone(stores, SOURCE, NAME, **options)
        (clone_id,) = clone_ids(stores)
        before = slice_rows(stores, clone_id)
        assert 0 < sum(row["points"] for row in before) < SMALL
        making = Making(
            stores, harness.clone(stores, SOURCE, NAME, concurrent_slices=None, **options)
        )
        assert making.clone.clone_id == clone_id
        after = slice_rows(stores, clone_id)
        bounds = [row["bounds"] for row in before]
        assert [row["bounds"] for row in after] == bounds
        assert len(bounds) == 3
        ids = stored(qdrant_url, making.clone.qdrant_collection, page=5000)
        counted = [sum(map(in_slice(one), ids)) for one in bounds]
        assert [row["points"] for row in after] == counted
        assert sum(counted) == len(ids) == SMALL
        assert min(counted) > SMALL / 20
        assert all(row["done"] for row in after)
        new = making.new("collection", "col_1")
        source = stored(qdrant_url, making.source_collection(), page=5000)
        for id, one in source.items():
            wanted = one | {"payload": one["payload"] | {"collection_id": new}}
            assert exact(wanted) == exact(ids[id])


def break_down(patched: pytest.MonkeyPatch, at: int) -> None:
    """The server refuses the page of that number."""
    write, calls = ServerStore.write, list[int]()

    def broken(self: ServerStore, *rest: Any) -> None:
        calls.append(1)
        if len(calls) == at:
            raise WorkError("The server has broken down.")
        write(self, *rest)

    patched.setattr(ServerStore, "write", broken)


def clone_ids(stores: Stores) -> set[str]:
    with stores.catalog.read() as connection:
        return set(connection.execute(select(clone_slices.c.clone_id)).scalars())
