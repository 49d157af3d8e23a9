"""What is asked of a server over REST, and its errors as ours."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import grpc
import pytest

import clone_pipeline
from clone_pipeline.core.errors import (
    CloneError,
    InvalidRequest,
    NoShardKey,
    NotFound,
    StorageFailed,
    StoreUnavailable,
    WorkError,
)
from clone_pipeline.core.vectors.faults import translated
from clone_pipeline.core.vectors.server import ServerStore

from .points import plain_points


@contextmanager
def answering(
    status: int, body: object, headers: dict[str, str] | None = None
) -> Iterator[tuple[ServerStore, list[dict[str, str]]]]:
    """A store on a loopback server that gives one answer to everything; and what it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({**self.headers, "path": self.path})
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://user:word@127.0.0.1:{server.server_port}"
    try:
        with closing(ServerStore.open(url, "secret-key")) as store:
            yield store, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(text: str) -> dict[str, Any]:
    return {"status": {"error": text}, "time": 0.0}


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (404, "Not found: Collection `c` doesn't exist", NotFound),
        (408, "Timeout error", StoreUnavailable),
        (429, "Rate limit exceeded", StoreUnavailable),
        (503, "Shard unavailable", StoreUnavailable),
        (500, "Service internal error: No space left on device: WAL", StorageFailed),
        (500, "Service internal error: has no active replica", StoreUnavailable),
        (500, "Service internal error: something else", WorkError),
        (400, "Wrong input: Vector dimension error", WorkError),
        (400, "Bad request: Shard key tenant not found", NoShardKey),
        (401, "Must provide an API key", WorkError),
    ],
)
def test_answers_become_our_errors(status: int, words: str, error: type[CloneError]) -> None:
    with answering(status, said(words)) as (store, _), pytest.raises(CloneError) as caught:
        store.read_config("c")
    assert type(caught.value) is error
    assert words in caught.value.message
    assert "Qdrant at http://127.0.0.1:" in caught.value.message
    assert "secret-key" not in caught.value.message
    assert "word@" not in caught.value.message


# As Qdrant 1.18 and what it is made with say it of a node that another one asks.
NODE_AWAY = [
    "1 of 1 read operations failed: Tonic status error: code: 'Unknown error', message: 'h2 "
    "protocol error: error reading a body from connection'",
    "Internal error: code: 'Internal error', message: 'stream closed because of a broken pipe'",
    "Tonic status error: code: 'The service is currently unavailable'",
    "Tonic status error: code: 'The operation was aborted'",
    "Tonic transport error: transport error",
    "tcp connect error: Connection refused (os error 111)",
    "Operation cancelled: code: 'The operation was cancelled', message: 'operation was canceled'",
    "error trying to connect: connection reset by peer",
    "The replica set for shard 1 on peer 2 has no active replica",
    "Failed to apply operation to at least one `Active` replica. Consistency of this update is not "
    "guaranteed. Please retry.",
    "Waiting for consensus operation commit failed. Timeout set at: 10 seconds",
    "Failed to propose operation: leader is not established within 10s",
    "1 of 1 read operations failed: Service internal error: Local shard 0 not found",
]


class _Rpc(grpc.RpcError):
    def __init__(self, details: str) -> None:
        super().__init__()
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INTERNAL

    def details(self) -> str:
        return self._details


@pytest.mark.parametrize("words", NODE_AWAY)
def test_a_node_that_another_one_has_lost_is_waited_for(words: str) -> None:
    whole = f"Service internal error: {words}"
    with answering(500, said(whole)) as (store, _), pytest.raises(StoreUnavailable, match="node"):
        store.read_config("c")
    with pytest.raises(StoreUnavailable), translated("Qdrant at http://host"):
        raise _Rpc(whole)


@pytest.mark.parametrize("kind", ["Unauthenticated", "PermissionDenied", "something else"])
def test_a_node_that_refuses_is_not_waited_for(kind: str) -> None:
    whole = f"Service internal error: Tonic status error: code: '{kind}'"
    with answering(500, said(whole)) as (store, _), pytest.raises(WorkError):
        store.read_config("c")
    with pytest.raises(WorkError), translated("Qdrant at http://host"):
        raise _Rpc(whole)


def test_what_is_cut_from_the_sentence_tells_its_kind_all_the_same() -> None:
    words = f"Service internal error: {'a shard, ' * 40}transport error"
    with answering(500, said(words)) as (store, _), pytest.raises(StoreUnavailable) as caught:
        store.read_config("c")
    assert "transport error" not in caught.value.message


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_a_server_asks_for_is_passed_on(status: int) -> None:
    answer = answering(status, said("slow down"), {"Retry-After": "17"})
    with answer as (store, _), pytest.raises(StoreUnavailable) as caught:
        store.read_config("c")
    assert caught.value.retry_after == 17.0


def test_an_answer_that_is_not_qdrants_is_an_error_of_one_sentence() -> None:
    with answering(502, b"<html>bad gateway</html>") as (store, _):
        with pytest.raises(StoreUnavailable, match="HTTP status 502"):
            store.read_config("c")
    with answering(200, b"<html>hello</html>") as (store, _):
        with pytest.raises(WorkError, match="Qdrant at"):
            store.read_config("c")


def test_the_key_is_sent_and_no_version_is_asked_for() -> None:
    with answering(404, said("none")) as (store, seen):
        with pytest.raises(NotFound):
            store.read_config("c")
    assert [headers["api-key"] for headers in seen] == ["secret-key"]


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with closing(ServerStore.open(f"http://127.0.0.1:{port}")) as store:
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.exists("c")


@pytest.mark.outside
def test_no_answer_in_time_says_that_the_outcome_is_unknown() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(ServerStore.open(url, timeout_seconds=1)) as store:
            with pytest.raises(StoreUnavailable, match="is not known"):
                store.upsert("c", plain_points(1, 1))


@pytest.mark.parametrize("collection", ["a/b", "a?b=c#d", "100%", "a b", "é\\", "..", "."])
def test_a_collection_is_asked_for_by_its_whole_name(collection: str) -> None:
    """By the client: before 1.20 it put the name into the path as it was (qdrant-client#807)."""
    with answering(404, said("none")) as (store, seen):
        with pytest.raises(CloneError):
            store.read_config(collection)
    (asked,) = seen or [{"path": ""}]
    assert asked["path"] in (f"/collections/{quote(collection, safe='')}", "")
    assert asked["path"] or collection in ("..", ".")


def test_the_project_asks_for_a_client_that_quotes_names() -> None:
    project = Path(clone_pipeline.__file__).parents[1] / "pyproject.toml"
    (floor,) = re.findall(r'"qdrant-client>=(\d+)\.(\d+)"', project.read_text(encoding="utf-8"))
    assert tuple(map(int, floor)) >= (1, 20)


@pytest.mark.parametrize("url", ["", "localhost:6333", "ftp://host", "http://"])
def test_what_is_no_url_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(InvalidRequest, match="http://localhost:6333"):
        ServerStore.open(url)
