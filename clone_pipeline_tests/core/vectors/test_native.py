"""Copying a collection inside its server: everything arrives, nothing is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import Conflict, LeaseLost, StorageFailed, StoreUnavailable
from clone_pipeline.core.vectors import native
from clone_pipeline.core.vectors.native import (
    Copied,
)
from clone_pipeline.core.vectors.server import ServerStore

from .native_servers import (
    KINDS,
    Answer,
    Proxy,
    copied,
    everything,
    own_server,
    snapshots,
    standing,
    wide,
)
from .points import PLAIN, plain_points

_DEADLINE_SECONDS = 60.0


@pytest.fixture
def made(name: Callable[[], str], server: ServerStore) -> Iterator[tuple[str, str]]:
    """Names of a source and a target, removed afterwards."""
    names = name(), name()
    yield names
    for one in names:
        server.delete(one)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_arrives_and_no_snapshot_is_left(
    kind: str, server: ServerStore, made: tuple[str, str]
) -> None:
    source, target = made
    config, points = KINDS[kind]
    server.create(source, config)
    server.upsert(source, points)
    done = copied(server, source, target)
    assert done == Copied(config.get("shard_number", 1), "pulled", None)
    assert everything(server, target) == everything(server, source)
    assert server.count(target) == len(points)
    assert server.read_config(target) == server.read_config(source)
    assert snapshots(server, source) == snapshots(server, target) == []


def is_indexed(server: ServerStore, collection: str, points: int) -> bool:
    told = server.rest.ask("GET", "", collection)
    return bool((told["status"], told["indexed_vectors_count"]) == ("green", points))


def test_the_index_comes_along(server: ServerStore, made: tuple[str, str]) -> None:
    source, target = made
    tight = {"indexing_threshold": 1, "default_segment_number": 1}
    vectors = {"": {"size": 32, "distance": "Dot"}}
    server.create(source, {"vectors": vectors, "optimizers_config": tight})
    server.upsert(source, wide(32, 400))
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not is_indexed(server, source, 400):
        assert time.monotonic() < deadline, "the source was never indexed"
        time.sleep(0.05)
    copied(server, source, target)
    told = server.rest.ask("GET", "", target)
    assert (told["status"], told["indexed_vectors_count"]) == ("green", 400)
    waiting = server.rest.ask("GET", "/optimizations", target)["summary"]
    assert (waiting["queued_optimizations"], waiting["queued_segments"]) == (0, 0)


@pytest.mark.parametrize("shards", [1, 3])
def test_the_first_write_to_a_copy_moves_its_last_write(
    server: ServerStore, made: tuple[str, str], shards: int
) -> None:
    """Of a shard that was recovered it would not by itself: a refresh could take what somebody has
    changed for what was proven."""
    source, target = made
    vectors = {"": {"size": 8, "distance": "Dot"}}
    server.create(source, {"vectors": vectors, "shard_number": shards})
    server.upsert(source, wide(8, 20))
    copied(server, source, target)
    for point in wide(8, 20):
        before = server.last_write(target)
        server.upsert(target, [point._replace(payload={"changed": True})])
        assert server.last_write(target) != before


def test_a_target_that_exists_is_not_touched(server: ServerStore, made: tuple[str, str]) -> None:
    source, target = made
    for collection in made:
        server.create(collection, PLAIN)
    server.upsert(target, plain_points(0, 3))
    with pytest.raises(Conflict, match="needs a new name"):
        copied(server, source, target)
    assert server.count(target) == 3


def test_a_stale_lease_stops_it_before_it_writes(
    server: ServerStore, made: tuple[str, str]
) -> None:
    source, target = made
    server.create(source, PLAIN)

    def lost() -> None:
        raise LeaseLost("taken over")

    with pytest.raises(LeaseLost):
        copied(server, source, target, check=lost)
    assert not server.exists(target)


def test_removing_what_is_not_there_is_nothing(server: ServerStore, name: Any) -> None:
    server.native.remove(name())


# ---- servers of another kind ---------------------------------------------------------------------


@pytest.mark.outside
def test_a_server_with_a_key_pulls_from_itself(tmp_path: Path) -> None:
    with own_server(tmp_path) as server:
        server.create("a", PLAIN)
        server.upsert("a", plain_points(0, 20))
        assert copied(server, "a", "b").how == "pulled"
        assert everything(server, "b") == everything(server, "a")


@pytest.mark.outside
def test_where_a_server_may_not_pull_the_bytes_go_through_us(tmp_path: Path) -> None:
    with own_server(tmp_path, enable_snapshot_url_recovery=False) as server:
        server.create("a", {**PLAIN, "shard_number": 2})
        server.upsert("a", plain_points(0, 20))
        done = copied(server, "a", "b")
        assert done.how == "relayed"
        assert "disabled in the configuration" in str(done.reason)
        assert everything(server, "b") == everything(server, "a")
        assert snapshots(server, "a") == snapshots(server, "b") == []
        files = [found for found in (tmp_path / "snapshots").rglob("*") if found.is_file()]
        assert files == []


# ---- a proxy between us and the server -----------------------------------------------------------


@pytest.fixture
def proxy(qdrant_url: str) -> Iterator[tuple[Proxy, ServerStore]]:
    found = Proxy(qdrant_url)
    with standing(found) as store:
        yield found, store


RECOVER = ("PUT", "/snapshots/recover")
TELEMETRY = ("GET", "/telemetry")


@pytest.fixture
def source(server: ServerStore, made: tuple[str, str]) -> tuple[str, str]:
    server.create(made[0], PLAIN)
    server.upsert(made[0], plain_points(0, 30))
    return made


def test_the_source_is_only_read(
    proxy: tuple[Proxy, ServerStore], source: tuple[str, str], server: ServerStore
) -> None:
    recording, store = proxy
    copied(store, *source)
    asked = {method for method, path in recording.seen if f"/{source[0]}" in path}
    assert asked == {"GET"}
    assert everything(server, source[1]) == everything(server, source[0])


def test_a_lost_answer_is_waited_for(
    proxy: tuple[Proxy, ServerStore], source: tuple[str, str], server: ServerStore
) -> None:
    recording, store = proxy
    recording.answers[RECOVER] = lambda answer: (504, {})
    waits: list[float] = []
    assert copied(store, *source, sleep=waits.append).how == "pulled"
    assert len(waits) == 1
    assert everything(server, source[1]) == everything(server, source[0])


def test_a_restart_ends_the_wait_for_a_lost_answer(
    proxy: tuple[Proxy, ServerStore], source: tuple[str, str]
) -> None:
    recording, store = proxy
    recording.answers[RECOVER] = lambda answer: (504, {})
    recording.dropped.add(RECOVER)
    starts = iter(range(1000))
    recording.answers[TELEMETRY] = lambda answer: (
        200,
        {"result": {"app": {"startup": str(next(starts))}}},
    )
    waits: list[float] = []
    with pytest.raises(StoreUnavailable, match="is not known"):
        copied(store, *source, sleep=waits.append)
    assert len(waits) == 1


def test_a_shard_that_is_never_filled_ends_the_wait(
    proxy: tuple[Proxy, ServerStore],
    source: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording, store = proxy
    recording.answers[RECOVER] = lambda answer: (504, {})
    recording.dropped.add(RECOVER)
    monkeypatch.setattr(native, "_POLLS", 3)
    waits: list[float] = []
    with pytest.raises(StoreUnavailable, match="is not known"):
        copied(store, *source, sleep=waits.append)
    assert len(waits) == 3


def test_a_full_disk_is_said_at_once(
    proxy: tuple[Proxy, ServerStore], source: tuple[str, str], server: ServerStore
) -> None:
    recording, store = proxy
    full = {"status": {"error": "Service internal error: No space left on device (os error 28)"}}
    recording.answers[RECOVER] = lambda answer: (500, full)
    recording.dropped.add(RECOVER)
    with pytest.raises(StorageFailed, match="No space left on device"):
        copied(store, *source)
    assert not any(path.endswith("/upload") for _, path in recording.seen)
    assert snapshots(server, source[0]) == []
    server.native.remove(source[1])
    assert not server.exists(source[1])


@pytest.mark.parametrize(
    ("request_of", "change", "expected"),
    [
        (("GET", "/"), {"version": "1.12.6"}, "outdated"),
        (("GET", "/cluster"), {"peers": {"1": {}, "2": {}}}, "several_nodes"),
        (("GET", "/cluster"), {"remote_shards": [{"shard_id": 1}]}, "several_nodes"),
        (("GET", "/cluster"), {"shard_transfers": [{"shard_id": 0}]}, "unsettled"),
        (
            ("GET", "/cluster"),
            {"local_shards": [{"shard_id": 0, "points_count": 1, "state": "Dead"}]},
            "unsettled",
        ),
        (
            ("GET", "/cluster"),
            {
                "local_shards": [
                    {"shard_id": 0, "points_count": 1, "state": "Active"} | {"shard_key": "x"}
                ]
            },
            "custom_sharding",
        ),
    ],
)
def test_what_stands_against_it_is_seen(
    request_of: tuple[str, str],
    change: dict[str, Any],
    expected: str,
    proxy: tuple[Proxy, ServerStore],
    source: tuple[str, str],
    server: ServerStore,
) -> None:
    recording, store = proxy
    plain = store.native.layout(source[0])
    assert plain.plain
    assert not plain.outdated

    def changed(answer: Answer) -> Answer:
        told = answer[1]
        (told["result"] if "result" in told else told).update(change)
        return answer[0], told

    recording.answers[request_of] = changed
    seen = store.native.layout(source[0])
    flags = ("outdated", "several_nodes", "custom_sharding", "unsettled")
    assert [flag for flag in flags if getattr(seen, flag)] == [expected]
