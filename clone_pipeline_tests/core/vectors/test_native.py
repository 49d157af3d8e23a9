"""Copying a collection inside its server: everything arrives, nothing is left behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from clone_pipeline.core.errors import Conflict, LeaseLost, StorageFailed, StoreUnavailable
from clone_pipeline.core.vectors import native
from clone_pipeline.core.vectors.native import (
    Copied,
)
from clone_pipeline.core.vectors.point import CollectionConfig, Point
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.vectors.side_by_side import pages
from clone_pipeline_tests import qdrant_server

from .points import CONFIG, PAYLOAD, PLAIN, UUID, plain_points
from .test_stores import FULL

_KEY = "key-of-the-server"
_DEADLINE_SECONDS = 60.0

MIXED = [
    Point(1, {"text": [1.0, 2.0, 3.0, 4.0], "words": {"indices": [7], "values": [0.5]}}, PAYLOAD),
    Point(2, {"tokens": [[1.0, 0.0], [0.0, 1.0]], "parts": [[2.0, 3.0]]}, {}),
    Point(UUID, {}, {"n": 1}),
]
HALVES = {"vectors": {"": {"size": 64, "distance": "Cosine", "datatype": "float16"}}}
BYTES = {"vectors": {"": {"size": 4, "distance": "Dot", "datatype": "uint8", "on_disk": True}}}
QUANTIZED = [
    {"vectors": {"": {"size": 16, "distance": "Cosine"}}, "quantization_config": method}
    for method in (
        {"scalar": {"type": "int8", "quantile": 0.9}},
        {"product": {"compression": "x16"}},
        {"binary": {"encoding": "two_bits"}},
        {"turbo": {"bits": "bits4"}},
    )
]


def wide(size: int, count: int = 40) -> list[Point]:
    """Points whose components differ, and are whole numbers of a byte."""
    return [
        Point(id, {"": [float((id * 7 + place * 13) % 251) for place in range(size)]}, {"n": id})
        for id in range(count)
    ]


KINDS: dict[str, tuple[CollectionConfig, list[Point]]] = {
    "named, sparse and multi": (CONFIG, MIXED),
    "whole configuration on two shards": (FULL, [Point(id, {}, {"n": id}) for id in range(9)]),
    "float16": (HALVES, wide(64)),
    "bytes on disk": (BYTES, wide(4)),
    "many shards": ({**PLAIN, "shard_number": 6}, plain_points(0, 60)),
    "empty": ({**PLAIN, "shard_number": 2}, []),
    "no vectors": ({"vectors": {}}, [Point(1, {}, {"n": 1})]),
    **{
        f"quantized: {next(iter(config['quantization_config']))}": (config, wide(16))
        for config in QUANTIZED
    },
}


@pytest.fixture
def made(name: Callable[[], str], server: ServerStore) -> Iterator[tuple[str, str]]:
    """Names of a source and a target, removed afterwards."""
    names = name(), name()
    yield names
    for one in names:
        server.delete(one)


def everything(store: ServerStore, collection: str) -> list[Point]:
    return [point for page in pages(store, collection, 100) for point in page]


def snapshots(store: ServerStore, collection: str) -> list[Any]:
    """Names of all snapshots of a collection and of its shards."""
    found = list(store.rest.ask("GET", "/snapshots", collection))
    for shard in store.native.layout(collection).shards:
        found += store.rest.ask("GET", f"/shards/{shard}/snapshots", collection)
    return found


def copied(store: ServerStore, source: str, target: str, **options: Any) -> Copied:
    options = {"sleep": time.sleep, **options}
    return store.native.copy(source, target, store.read_config(source), **options)


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


def test_the_index_comes_along(server: ServerStore, made: tuple[str, str]) -> None:
    source, target = made
    tight = {"indexing_threshold": 1, "default_segment_number": 1}
    vectors = {"": {"size": 32, "distance": "Dot"}}
    server.create(source, {"vectors": vectors, "optimizers_config": tight})
    server.upsert(source, wide(32, 400))
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not server.rest.ask("GET", "", source)["indexed_vectors_count"]:
        assert time.monotonic() < deadline, "the source was never indexed"
        time.sleep(0.05)
    copied(server, source, target)
    told = server.rest.ask("GET", "", target)
    assert (told["status"], told["indexed_vectors_count"]) == ("green", 400)
    waiting = server.rest.ask("GET", "/optimizations", target)["summary"]
    assert (waiting["queued_optimizations"], waiting["queued_segments"]) == (0, 0)


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


def test_points_are_counted_exactly_by_a_filter(server: ServerStore, made: Any) -> None:
    server.create(made[0], PLAIN)
    server.upsert(made[0], plain_points(0, 30))
    assert server.native.count_where(made[0], {"must": [{"key": "n", "range": {"lt": 7}}]}) == 7


# ---- servers of another kind ---------------------------------------------------------------------


@contextmanager
def own_server(folder: Path, **service: Any) -> Iterator[ServerStore]:
    """A server that asks for a key, with these settings."""
    if not qdrant_server.is_installed():
        pytest.skip("no `qdrant` on the PATH")
    (folder / "config").mkdir()
    settings = {"service": {"api_key": _KEY, **service}}
    (folder / "config" / "config.yaml").write_text(json.dumps(settings))
    with qdrant_server.run(folder) as url, ExitStack() as stack:
        store = ServerStore.open(url, _KEY)
        stack.callback(store.close)
        yield store


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

Answer = tuple[int, dict[str, Any]]


class Proxy:
    """Passes requests on and records them; `answers` replaces answers, by method and ending."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.seen: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], Callable[[Answer], Answer]] = {}
        self.dropped: set[tuple[str, str]] = set()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.seen.append((handler.command, path))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        rule = next(
            (key for key in self.answers if key[0] == handler.command and path.endswith(key[1])),
            None,
        )
        if rule in self.dropped:
            status, content = 200, b"{}"
        else:
            url = self.target + handler.path
            kind = {"Content-Type": handler.headers.get("Content-Type", "application/json")}
            answer = httpx.request(handler.command, url, content=body, headers=kind, timeout=30)
            status, content = answer.status_code, answer.content
        if rule is not None:
            status, told = self.answers[rule]((status, json.loads(content)))
            content = json.dumps(told).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def proxy(qdrant_url: str) -> Iterator[tuple[Proxy, ServerStore]]:
    found = Proxy(qdrant_url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.serve(self)

        do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    store = ServerStore.open(f"http://127.0.0.1:{listening.server_port}")
    try:
        yield found, store
    finally:
        store.close()
        listening.shutdown()
        listening.server_close()
        thread.join()


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
