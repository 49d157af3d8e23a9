"""A source on a server of its own: it is only read, so that a key that can only read is enough."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.points import pages
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.verify import verify_pair
from clone_pipeline_tests import harness

from .bundles import NAME, NAMESPACE, QDRANT, small_namespace
from .proxy import recording
from .qdrant import Qdrant, running
from .rest import ask, assert_equal_points, newest_clone, points, snapshots

pytestmark = pytest.mark.outside

POINTS = 900
EVERYTHING: dict[str, Any] = {"include_resources": harness.everything()}
ADMIN_KEY, READ_KEY = "key-of-the-admin", "key-that-only-reads"

# What may be asked of the server of a source.
READS = {
    ("GET", "/"),
    ("GET", "/aliases"),
    ("GET", "/telemetry"),
    ("GET", "/collections/{}"),
    ("GET", "/collections/{}/aliases"),
    ("POST", "/collections/{}/points"),
    ("POST", "/collections/{}/points/count"),
    ("POST", "/collections/{}/points/query"),
    ("POST", "/collections/{}/points/scroll"),
    ("gRPC", "/qdrant.Qdrant/HealthCheck"),
    ("gRPC", "/qdrant.Points/Scroll"),
}


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[Qdrant]:
    with running(tmp_path / "server") as server:
        yield server


@contextmanager
def open_stores(home: Path, url: str, **keys: str) -> Iterator[Stores]:
    with harness.open_stores(home) as stores:
        yield replace(stores, vector_address=replace(stores.vector_address, url=url, **keys))


def move_source(stores: Stores, url: str) -> None:
    """From now on, that is where the namespace's points are."""
    with stores.catalog.write() as connection:
        mine = schema.namespaces.c.namespace_id == NAMESPACE
        connection.execute(update(schema.namespaces).where(mine).values(qdrant_url=url))


def kinds(requests: list[tuple[str, str]]) -> set[tuple[str, str]]:
    return {
        (method, re.sub("^/collections/[^/]+", "/collections/{}", path.partition("?")[0]))
        for method, path in requests
    }


@pytest.mark.parametrize("grpc", [True, False])
def test_nothing_but_reads_reaches_the_source(
    qdrant: Qdrant, tmp_path: Path, grpc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    monkeypatch.setattr(pages, "FIRST_PAGE", 50)
    with open_stores(tmp_path, qdrant.url) as stores, recording(qdrant.url) as proxy:
        harness.load(stores, small_namespace(points=POINTS, objects=3))
        move_source(stores, proxy.url)
        if not grpc:
            monkeypatch.setattr("clone_pipeline.core.vectors.transport._ENCODED_SINCE", (99,))
        made = harness.clone(stores, NAME, "copy", **EVERYTHING)
        assert verify_pair(stores, None, NAME, "copy").equal
        with stores.catalog.read() as connection:
            report = ledger.read_reports(connection, made.clone_id)["copy_points"]
        assert report.details["transport"].startswith("gRPC" if grpc else "REST")
        seen = kinds(proxy.requests)
        assert seen <= READS
        assert ({"/qdrant.Points/Scroll"} if grpc else {"/collections/{}/points/scroll"}) <= {
            path for _, path in seen
        }
        assert {path.split("/")[2] for _, path in proxy.requests if "/collections/" in path} == {
            QDRANT
        }
        assert_equal_points(stores, "copy", qdrant.url, QDRANT)


def test_a_key_that_can_only_read_is_enough_for_the_source(qdrant: Qdrant, tmp_path: Path) -> None:
    keys = {"SERVICE__API_KEY": ADMIN_KEY, "SERVICE__READ_ONLY_API_KEY": READ_KEY}
    with running(tmp_path / "other", **keys) as other:
        with open_stores(tmp_path, other.url, api_key=ADMIN_KEY) as stores:
            harness.load(stores, small_namespace(points=POINTS, objects=3))
            move_source(stores, other.url)
        before = points(other.url, QDRANT, READ_KEY)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            ask(other.url, f"/collections/{QDRANT}", method="DELETE", key=READ_KEY)
        with open_stores(tmp_path, qdrant.url, source_api_key=READ_KEY) as stores:
            harness.clone(stores, NAME, "copy", **EVERYTHING)
            assert verify_pair(stores, None, NAME, "copy").equal
            expected = {"source_url": other.url, "source_key": READ_KEY}
            assert_equal_points(stores, "copy", qdrant.url, QDRANT, **expected)
            assert newest_clone(stores, "copy").plan["lane"] == "stream"
        assert points(other.url, QDRANT, READ_KEY) == before


def test_a_server_without_a_key_is_read_by_the_clones_own_where_nothing_changes(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    files = small_namespace(points=POINTS, objects=3)
    for point in files["points.jsonl"]:
        del point["payload"]["_internal"]["namespace_id"]
    with running(tmp_path / "other") as other:
        with open_stores(tmp_path, other.url) as stores:
            harness.load(stores, files)
            move_source(stores, other.url)
        with open_stores(tmp_path, qdrant.url) as stores:
            harness.clone(stores, NAME, "copy", preserve_resource_ids=True, **EVERYTHING)
            made = newest_clone(stores, "copy")
            assert (made.plan["lane"], made.plan["transport"]) == (
                "native",
                "from Qdrant to Qdrant",
            )
            assert verify_pair(stores, None, NAME, "copy").equal
        assert points(qdrant.url, made.qdrant_collection) == points(other.url, QDRANT)
        assert snapshots(other.url) == snapshots(qdrant.url) == []


def test_one_server_with_a_key_for_each_side(tmp_path: Path) -> None:
    keys = {"SERVICE__API_KEY": ADMIN_KEY, "SERVICE__READ_ONLY_API_KEY": READ_KEY}
    with (
        running(tmp_path / "server", **keys) as server,
        open_stores(tmp_path, server.url, api_key=ADMIN_KEY, source_api_key=READ_KEY) as stores,
    ):
        harness.load(stores, small_namespace(points=POINTS, objects=3))
        harness.clone(stores, NAME, "copy", **EVERYTHING)
        both = {"key": ADMIN_KEY, "source_key": READ_KEY}
        assert_equal_points(stores, "copy", server.url, QDRANT, **both)
