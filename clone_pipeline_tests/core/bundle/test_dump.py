"""A dump appears whole or not at all, readable by its owner only."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from clone_pipeline.core.bundle import dump, load
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import Conflict, NotFound, StorageFailed
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests.full_disk import full_disk
from clone_pipeline_tests.sources import write_bundle

from .samples import NOW, namespace_key, read_bundle, sample


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    catalog = Catalog.open(sqlite_url)
    yield catalog
    catalog.close()


@pytest.fixture
def key(catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path) -> int:
    """The sample's namespace."""
    files = sample()
    files["points.jsonl"][0]["payload"]["long"] = "x" * 100_000
    load(write_bundle(tmp_path / "in", files), catalog, vectors, NOW)
    return namespace_key(catalog)


def test_files_are_private(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    dump(catalog, vectors, key, tmp_path / "new" / "out")
    out = tmp_path / "new" / "out"
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    dump(catalog, vectors, key, out)
    assert len(read_bundle(out)["points.jsonl"]) == 4


def test_what_is_there_is_not_written_over(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="not an empty folder"):
        dump(catalog, vectors, key, tmp_path / "in")
    with pytest.raises(Conflict, match="not an empty folder"):
        dump(catalog, vectors, key, tmp_path / "in" / "namespace.json")
    assert json.loads((tmp_path / "in" / "namespace.json").read_text())["namespace_name"] == "prod"


@pytest.mark.parametrize("size", [10, 50_000])
def test_a_full_disk_is_told_and_leaves_nothing(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path, size: int
) -> None:
    out = tmp_path / "new" / "out"
    with full_disk(size), pytest.raises(StorageFailed, match="cannot be written: File too large"):
        dump(catalog, vectors, key, out)
    assert list(out.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="cannot be written"):
        dump(catalog, vectors, key, tmp_path / "file" / "out")


def test_an_interrupted_dump_leaves_no_folder(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    def interrupt(what: str, _done: int) -> None:
        # Nothing carries the name before the end, however the process would end now.
        assert not (tmp_path / "new" / "out").exists()
        if what == "points":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dump(catalog, vectors, key, tmp_path / "new" / "out", interrupt)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_namespace_whose_points_are_gone_is_told(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    vectors.delete("ns_prod_store")
    with pytest.raises(NotFound, match="ns_prod_store"):
        dump(catalog, vectors, key, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_store_is_asked_where_the_catalog_has_no_configuration(
    catalog: Catalog, vectors: EmbeddedStore, key: int, tmp_path: Path
) -> None:
    with catalog.write() as connection:
        connection.execute(
            update(schema.namespaces).values(qdrant_config=schema.namespaces.c.qdrant_url)
        )
    dump(catalog, vectors, key, tmp_path / "out")
    assert set(read_bundle(tmp_path / "out")["qdrant.json"]["vectors"]) == {"text", "late"}


def test_every_32_bit_float_comes_back(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    numbers = [1 / 3, 1000000064.0, 1e-45, 3.4028234663852886e38, -0.0, -1e-10, -0.0]
    files = sample() | {
        "qdrant.json": {"vectors": {"v": {"size": len(numbers), "distance": "Dot"}}},
        "points.jsonl": [{"id": 1, "vector": {"v": numbers}, "payload": {}}],
    }
    load(write_bundle(tmp_path / "in", files), catalog, vectors, NOW)
    dump(catalog, vectors, namespace_key(catalog), tmp_path / "out")
    held = vectors.scroll("ns_prod_store", 1).points[0].vectors["v"]
    written = read_bundle(tmp_path / "out")["points.jsonl"][0]["vector"]["v"]
    assert bits(written) == bits(held) == bits(numbers)


def bits(values: object) -> bytes:
    assert isinstance(values, list)
    return array("f", values).tobytes()
