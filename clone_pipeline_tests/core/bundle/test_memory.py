"""What `load` and `dump` hold in memory does not grow with the bundle."""

from __future__ import annotations

import json
import tracemalloc
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from clone_pipeline.core.bundle import dump, files, load
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests.sources import write_bundle

from .samples import NOW, namespace_key, sample

pytestmark = pytest.mark.outside

MIB = 1024 * 1024


class Sink(EmbeddedStore):
    """Keeps no points: what is measured is ours."""

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        return None


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def sink(tmp_path: Path) -> EmbeddedStore:
    return Sink.open(tmp_path / "qdrant")


def test_big_documents(
    catalog: Catalog, sink: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_BYTES", 256 * 1024)
    folder = write_bundle(tmp_path / "in", sample())
    with (folder / "objects.jsonl").open("w") as objects:
        for number in range(1000):
            document = {"object_id": str(number), "bucket_id": "bkt_a", "text": "x" * 16_000}
            objects.write(f"{json.dumps(document)}\n")
    with (folder / "points.jsonl").open("w") as points:
        for number in range(1000):
            payload = {"text": "x" * 16_000}
            points.write(f"{json.dumps({'id': number, 'vector': {}, 'payload': payload})}\n")
    try:
        assert peak(lambda: load(folder, catalog, sink, NOW)) < 4 * MIB  # of 32
        key = namespace_key(catalog)
        assert peak(lambda: dump(catalog, sink, key, tmp_path / "out")) < 8 * MIB
    finally:
        sink.close()


def test_many_ids(sqlite_url: str, sink: EmbeddedStore, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "in", sample())
    with (folder / "points.jsonl").open("w") as points:
        for number in range(10_000):
            points.write(f'{{"id": "{uuid.UUID(int=number)}", "vector": {{}}}}\n')
    catalog = Catalog.open(sqlite_url)
    # It takes 1.5, whatever their number; a set of these would add 1.3.
    assert peak(lambda: load(folder, catalog, sink, NOW)) < 2 * MIB
    catalog.close()
    sink.close()


def test_postgresql_hands_rows_over_as_they_are_asked_for(
    postgres_url: str, sink: EmbeddedStore, tmp_path: Path
) -> None:
    catalog = Catalog.open(postgres_url)
    load(write_bundle(tmp_path / "in", sample()), catalog, sink, NOW)
    cursors: list[object] = []

    def note(_connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM objects" in statement:
            cursors.append(cursor)

    event.listen(catalog._engine, "before_cursor_execute", note)
    dump(catalog, sink, namespace_key(catalog), tmp_path / "out")
    # The driver's other cursors take the whole result at once, outside of what is measured here.
    assert [type(cursor) for cursor in cursors] == [psycopg.ServerCursor]
    catalog.close()
    sink.close()
