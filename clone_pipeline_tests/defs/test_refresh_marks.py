"""What a refresh takes for a change of its source."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.refresh import marks
from clone_pipeline.core.refresh.target import read_target
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.defs.watching import Watching
from clone_pipeline_tests.harness import clone, holding, open_stores

LATER = datetime(2030, 1, 1, tzinfo=timezone.utc)


# ---- the mark --------------------------------------------------------------------------------


def mark(stores: Stores) -> str:
    with stores.catalog.read() as connection:
        return marks.catalog_mark(connection, namespaces.resolve(connection, None, "prod"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE namespaces SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE buckets SET updated_at = '2030-01-01 00:00:00.000000'",
        'UPDATE buckets SET document = \'{"last_upload_at": "2030"}\'',
        "UPDATE buckets SET document = '{\"object_count\": 9}'",
        "UPDATE collections SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE retrievers SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE taxonomies SET updated_at = '2030-01-01 00:00:00.000000'",
        "DELETE FROM retrievers",
    ],
)
def test_the_mark_changes_with_the_catalog(statement: str, home: Path) -> None:
    with open_stores(home) as stores:
        before = mark(stores)
        assert mark(stores) == before
        with stores.catalog.write() as connection:
            connection.execute(text(statement))
        assert mark(stores) != before


def test_a_clone_leaves_the_mark_of_its_source_as_it_is(home: Path) -> None:
    with open_stores(home) as stores:
        before = mark(stores)
        clone(stores, "prod", "another")
        assert mark(stores) == before


def test_on_a_server_a_write_to_the_points_changes_the_mark(
    home: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    qdrant_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And while the server does not tell its last write, the last one that is known stands."""
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    name = f"watched_{uuid.uuid4().hex}"
    with open_stores(home) as stores, stores.catalog.write() as connection:
        infrastructure = json.dumps({"infrastructure": {"qdrant_collection": name}})
        connection.execute(text("UPDATE namespaces SET document = :d"), {"d": infrastructure})
    watching = Watching(tmp_path, instance, on_change={})
    with closing(ServerStore.open(qdrant_url)) as server:
        server.create(name, sample()["qdrant.json"])
        try:
            before = told(server, name)
            watching.tick()
            first = json.loads(str(watching.cursor))
            server.delete_points(name, [1])
            assert told(server, name, before) != before
            watching.tick()
            second = json.loads(str(watching.cursor))
            assert second["seen"]["mark"] != first["seen"]["mark"]
            monkeypatch.setattr(ServerStore, "last_write", lambda *_: None)
            assert "are not seen" not in str(watching.tick().skip_message)
            assert json.loads(str(watching.cursor)) == second
            watching.cursor = None
            assert "Writes to its points are not seen" in watching.skipped()
        finally:
            server.delete(name)


def told(server: ServerStore, name: str, before: str | None = None) -> str | None:
    """The last write, once the server has applied it."""
    deadline = time.monotonic() + 30
    while (found := server.last_write(name)) in (None, before):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("lane", ["stream", "native"])
def test_on_a_server_a_clone_is_a_copy_of_the_mark_that_its_source_still_has(
    lane: str, tmp_path: Path, qdrant_url: str
) -> None:
    files = sample()
    files["namespace.json"]["namespace_id"] = f"ns_{uuid.uuid4().hex}"
    where = VectorAddress(folder=tmp_path, url=qdrant_url)
    with holding(tmp_path, files, vector_address=where) as stores:
        with stores.catalog.read() as connection:
            source = namespaces.resolve(connection, None, "prod")
        with stores.vectors() as server:
            assert isinstance(server, ServerStore)
            told(server, source.qdrant_collection)
        made = clone(stores, "prod", "staging", lane=lane, preserve_resource_ids=True)
        try:
            assert made.plan["lane"] == lane
            seen = marks.source_mark(stores, source, None)
            assert seen.points is not None
            with stores.catalog.read() as connection:
                target = read_target(connection, source.organization_id, "staging", seen)
            assert target.is_copy is True
        finally:
            delete_clone(stores, None, "staging")
            with stores.vectors() as server:
                server.delete(source.qdrant_collection)
