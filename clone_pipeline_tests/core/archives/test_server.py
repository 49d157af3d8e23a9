"""An archive of a namespace on a real Qdrant server: tested from the archive, beside the source."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.archives import write
from clone_pipeline.core.archives.restore_test import run_archive_test
from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod

from .conftest import BEGIN, World

POINTS = 400


@pytest.fixture
def world(qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """`prod` with cosine vectors, and payloads whose references a scratch namespace rewrites."""
    monkeypatch.setattr(parts, "PART_BYTES", 10_000)
    chance, files, now = random.Random(7), prod(), [BEGIN]
    files["qdrant.json"]["vectors"]["text"]["distance"] = "Cosine"
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": f"test_{uuid.uuid4().hex}"}
    first = files["points.jsonl"][0]
    files["points.jsonl"] = [
        {
            "id": number,
            "vector": {"text": [chance.gauss(0, 1) for _ in range(3)]},
            "payload": first["payload"] | {"score": chance.random()},
        }
        for number in range(POINTS)
    ]
    address = VectorAddress(folder=tmp_path / "qdrant", url=qdrant_url)
    more: dict[str, Any] = {"clock": lambda: now[0], "vector_address": address}
    with harness.holding(tmp_path / "home", files, **more) as stores:
        try:
            yield World(stores, (tmp_path / "out").as_uri(), now)
        finally:
            harness.remove_collections(stores)


def test_it_is_proven_against_its_seal_and_found_by_its_own_vectors(world: World) -> None:
    made = world.write("night")
    assert (made.proven, made.consistent, made.points) == (True, True, POINTS)
    result = run_archive_test(world.stores, LOCAL_OPERATOR, made, "test")
    assert result.good, result.sentence
    assert (result.points, result.searches, result.same_answers) == (POINTS, 5, 5)
    with world.stores.catalog.read() as connection:
        assert [one.name for one in namespaces.list_all(connection, None)] == ["prod"]


def test_points_that_were_written_meanwhile_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is in it as it was when it was read; what is archived is whole all the same."""
    with world.stores.catalog.read() as connection:
        source = namespaces.resolve(connection, None, "prod")
    dump = write.dump_archive

    def moving(stores: Any, vectors: Any, *more: Any) -> Any:
        read = vectors.read

        def read_and_write(*arguments: Any, **options: Any) -> Any:
            page = read(*arguments, **options)
            late = Point(9999, {"text": [1.0, 0.0, 0.0]}, {})
            vectors.upsert(source.qdrant_collection, [late])
            return page

        monkeypatch.setattr(vectors, "read", read_and_write)
        return dump(stores, vectors, *more)

    monkeypatch.setattr(write, "dump_archive", moving)
    made = world.write("night")
    assert (made.proven, made.consistent) == (True, False)
    assert run_archive_test(world.stores, LOCAL_OPERATOR, made, "test").good
