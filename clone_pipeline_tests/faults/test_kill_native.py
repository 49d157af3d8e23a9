"""The native lane: a copy inside the server that its client does not live to see, or gives up."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import StorageFailed, StoreUnavailable
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import native
from clone_pipeline_tests import harness

from .bundles import NAME, NAMESPACE, QDRANT, small_namespace
from .checks import status
from .place import Outcome, Place, wait_until
from .qdrant import Qdrant, running
from .rest import ask, collections, newest_clone, points, snapshots

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "30"))
POINTS, SHARDS = 2000, 2
OPTIONS: dict[str, Any] = {"lane": "native", "preserve_resource_ids": True}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Qdrant]:
    with running(tmp_path / "server") as server:
        yield server


@pytest.fixture
def place(server: Qdrant, tmp_path: Path) -> Place:
    """The source's points name no namespace, so that nothing of them has to change."""
    files = small_namespace(points=POINTS, objects=3)
    files["qdrant.json"] |= {"shard_number": SHARDS}
    for point in files["points.jsonl"]:
        del point["payload"]["_internal"]["namespace_id"]
    place = Place(tmp_path / "place", {"QDRANT_URL": server.url})
    place.home.mkdir(parents=True)
    with place.stores() as stores:
        assert harness.load(stores, files) == NAMESPACE
    return place


@pytest.fixture
def before(place: Place, server: Qdrant) -> dict[str, Any]:
    return look(server)


def look(server: Qdrant) -> dict[str, Any]:
    """All of the source that a write would change."""
    told = ask(server.url, f"/collections/{QDRANT}")
    shards = ask(server.url, "/telemetry?details_level=3")["collections"]["collections"]
    source = next(one for one in shards if one["id"] == QDRANT)
    return {
        "points": points(server.url, QDRANT),
        "config": told["config"],
        "schema": told["payload_schema"],
        "written": [shard["local"]["update_queue"] for shard in source["shards"]],
    }


def copy(place: Place, **faults: Any) -> Outcome:
    process = place.start_child("copy", faults, **OPTIONS)
    try:
        return process.end()
    finally:
        process.kill()


def clone_here(stores: Stores) -> None:
    harness.clone(stores, NAME, "copy", include_resources=harness.everything(), **OPTIONS)


def collection_of(place: Place) -> str:
    with place.stores() as stores:
        return newest_clone(stores, "copy").qdrant_collection


def take_away(place: Place) -> None:
    with place.stores() as stores:
        made = newest_clone(stores, "copy")
        if made.status == "ready":
            delete_clone(stores, None, "copy")
        else:
            discard(stores, made)


def assert_nothing_left(server: Qdrant, before: dict[str, Any], *more: str) -> None:
    """The source as it was, those collections, and no file that is on its way anywhere."""
    assert collections(server.url) == {QDRANT, *more}
    assert snapshots(server.url) == []
    assert look(server) == before
    wait_until(lambda: not snapshot_files(server), "the server to clear its temporary files")


def snapshot_files(server: Qdrant) -> list[Path]:
    folders = (server.folder / "snapshots", server.folder / "storage" / "snapshots_recovery_tmp")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def assert_whole(place: Place, server: Qdrant, before: dict[str, Any]) -> None:
    with place.stores() as stores:
        made = newest_clone(stores, "copy")
    assert (made.status, made.plan["lane"]) == ("ready", "native")
    assert points(server.url, made.qdrant_collection) == before["points"]
    assert_nothing_left(server, before, made.qdrant_collection)


@pytest.mark.parametrize("lingers", [0.02, pytest.param(0.1, marks=pytest.mark.long)])
def test_a_native_copy_killed_while_the_server_recovers_is_made_under_another_name(
    place: Place, server: Qdrant, before: dict[str, Any], lingers: float
) -> None:
    """The server goes on with what it was asked for."""
    killed = copy(place, kill=["copy_points:native copy:before", SHARDS], linger=lingers)
    assert killed.code == -signal.SIGKILL
    first = collection_of(place)
    assert first in collections(server.url)
    assert copy(place).code == 0
    assert collection_of(place) == f"{first}.2"
    assert_whole(place, server, before)


@pytest.mark.long
def test_a_native_copy_killed_at_every_moment_of_it(
    place: Place, server: Qdrant, before: dict[str, Any]
) -> None:
    for moment, nth in [
        ("create:after", 1),
        ("native remove:after", 1),
        ("native copy:after", 1),
        ("rename:before", 1),
        ("native copy:after", SHARDS),
        ("rename:after", 1),
        ("native copy:before", SHARDS),
    ]:
        killed = copy(place, kill=[f"copy_points:{moment}", nth])
        assert killed.code == -signal.SIGKILL, (moment, killed)
    assert copy(place).code == 0
    assert_whole(place, server, before)


@pytest.mark.long
def test_native_copies_killed_at_random_times(
    place: Place, server: Qdrant, before: dict[str, Any]
) -> None:
    """Every second one is taken away then, the others are gone on with."""
    chance = random.Random(20260509)
    for case in range(KILLS // 2):
        killed = copy(
            place,
            kill=["copy_points:native copy:before", chance.randint(1, SHARDS)],
            linger=chance.uniform(0, 0.3),
        )
        assert killed.code in (0, -signal.SIGKILL)
        if case % 2 and status(place, "copy") != "ready":
            assert copy(place).code == 0
        if status(place, "copy") == "ready":
            assert_whole(place, server, before)
        take_away(place)
        assert_nothing_left(server, before)


@pytest.mark.parametrize("nth", [SHARDS, pytest.param(1, marks=pytest.mark.long)])
def test_a_native_copy_that_was_killed_and_is_discarded_leaves_nothing(
    place: Place, server: Qdrant, before: dict[str, Any], nth: int
) -> None:
    killed = copy(place, kill=["copy_points:native copy:before", nth], linger=0.02)
    assert killed.code == -signal.SIGKILL
    take_away(place)
    assert status(place, "copy") == "discarded"
    assert_nothing_left(server, before)


@pytest.mark.long
def test_a_finished_native_copy_that_is_deleted_leaves_nothing(
    place: Place, server: Qdrant, before: dict[str, Any]
) -> None:
    assert copy(place).code == 0
    assert_whole(place, server, before)
    take_away(place)
    assert_nothing_left(server, before)


def test_a_native_copy_that_fails_leaves_no_snapshot_and_is_gone_on_with(
    place: Place, server: Qdrant, before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = native._Copy._pull

    def full(self: native._Copy, shard: int) -> None:
        if shard == SHARDS - 1:
            raise StorageFailed("No space left on device.")
        pull(self, shard)

    with place.stores() as stores:
        with monkeypatch.context() as patched:
            patched.setattr(native._Copy, "_pull", full)
            with pytest.raises(StorageFailed):
                clone_here(stores)
        failed = newest_clone(stores, "copy")
        assert failed.status == "failed"
        assert_nothing_left(server, before, failed.qdrant_collection)
        clone_here(stores)
    assert_whole(place, server, before)


@pytest.mark.long
def test_a_native_copy_whose_server_dies_is_whole_in_the_end(
    place: Place, server: Qdrant, before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in the middle of a shard, or just through with all of them."""
    pull, lock, died, again = native._Copy._pull, threading.Lock(), threading.Event(), [0]

    def dies(self: native._Copy, shard: int) -> None:
        if shard == SHARDS - 1:
            death = threading.Timer(0.01, lambda: (server.kill(), died.set()))
            death.start()
        try:
            pull(self, shard)
        finally:
            if shard == SHARDS - 1:
                death.join()

    def start_again(_: float = 0) -> None:
        with lock:
            again[0] += 1
            if again[0] == 1:
                assert died.wait(60)
                server.start()

    with place.stores() as stores:
        stores = replace(stores, sleep=start_again)
        with monkeypatch.context() as patched, suppress(StoreUnavailable):
            patched.setattr(native._Copy, "_pull", dies)
            clone_here(stores)
        start_again()
        if newest_clone(stores, "copy").status != "ready":
            clone_here(stores)
    assert_whole(place, server, before)
