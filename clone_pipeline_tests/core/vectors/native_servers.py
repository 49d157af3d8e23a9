"""Collections to copy inside a server, and servers of several kinds to do it in."""

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


Answer = tuple[int, dict[str, Any]]


class Proxy:
    """Passes requests on and records them; `answers` replaces answers, by method and ending."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.seen: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], Callable[[Answer], Answer]] = {}
        self.dropped: set[tuple[str, str]] = set()

    def behind(self, handler: BaseHTTPRequestHandler) -> str:
        """The server that answers."""
        return self.target

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
            url = self.behind(handler) + handler.path
            kind = {"Content-Type": handler.headers.get("Content-Type", "application/json")}
            if "api-key" in handler.headers:
                kind["api-key"] = handler.headers["api-key"]
            answer = httpx.request(handler.command, url, content=body, headers=kind, timeout=30)
            status, content = answer.status_code, answer.content
        if rule is not None:
            status, told = self.answers[rule]((status, json.loads(content)))
            content = json.dumps(told).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def standing(found: Proxy, key: str | None = None) -> Iterator[ServerStore]:
    """The server behind the proxy, by way of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.serve(self)

        do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    store = ServerStore.open(f"http://127.0.0.1:{listening.server_port}", key)
    try:
        yield store
    finally:
        store.close()
        listening.shutdown()
        listening.server_close()
        thread.join()
