"""`kill -9` at any moment of a load: the next one works, and nothing of the first is left."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from sqlalchemy import delete

from clone_pipeline.core.bundle import discard_dead_loads, load
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests.sources import write_bundle

from .killed import load_and_die
from .samples import NOW, rows, sample

pytestmark = pytest.mark.outside

MOMENTS = ["reserving", "reserved", "created", "upsert", "points", "buckets", "objects"]
# In the one transaction that makes the namespace, after the last statement of it.
LAST = "taxonomies"


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([load_and_die.__module__])
    return context


def kill_at(
    processes: ForkServerContext, moment: str, folder: Path, catalog_url: str, qdrant: Path
) -> None:
    process = processes.Process(target=load_and_die, args=(moment, folder, catalog_url, qdrant))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("moment", [*MOMENTS, LAST])
def test_nothing_is_left_and_the_next_load_works(
    processes: ForkServerContext, catalog_url: str, tmp_path: Path, moment: str
) -> None:
    folder = write_bundle(tmp_path / "in", sample())
    qdrant = tmp_path / "qdrant"
    kill_at(processes, moment, folder, catalog_url, qdrant)
    catalog, vectors = Catalog.open(catalog_url), EmbeddedStore.open(qdrant)
    try:
        assert set(rows(catalog)) == (set() if moment == "reserving" else {"loads"})
        discard_dead_loads(catalog, vectors)
        assert rows(catalog) == {}
        left = qdrant / "collection"
        assert not left.exists() or not list(left.iterdir())
        assert load(folder, catalog, vectors, NOW).counts["points"] == 4
        assert vectors.count("ns_prod_store") == 4
        assert rows(catalog)["objects"] == 3
    finally:
        vectors.close()
        catalog.close()


def test_the_next_load_discards_by_itself(
    processes: ForkServerContext, catalog_url: str, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "in", sample())
    kill_at(processes, "points", folder, catalog_url, tmp_path / "qdrant")
    shorter = write_bundle(tmp_path / "in", {"points.jsonl": sample()["points.jsonl"][:1]})
    catalog, vectors = Catalog.open(catalog_url), EmbeddedStore.open(tmp_path / "qdrant")
    try:
        load(shorter, catalog, vectors, NOW)
        assert vectors.count("ns_prod_store") == 1
        assert "loads" not in rows(catalog)
    finally:
        vectors.close()
        catalog.close()


def test_a_load_killed_before_it_looked_does_not_cost_a_collection_that_was_there(
    processes: ForkServerContext, catalog_url: str, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "in", sample())
    catalog, vectors = Catalog.open(catalog_url), EmbeddedStore.open(tmp_path / "qdrant")
    load(folder, catalog, vectors, NOW)
    with catalog.write() as connection:
        connection.execute(delete(schema.namespaces))
    vectors.close()
    kill_at(processes, "reserving", folder, catalog_url, tmp_path / "qdrant")
    vectors = EmbeddedStore.open(tmp_path / "qdrant")
    try:
        with pytest.raises(Conflict, match="ns_prod_store exists"):
            load(folder, catalog, vectors, NOW)
        assert vectors.count("ns_prod_store") == 4
    finally:
        vectors.close()
        catalog.close()
