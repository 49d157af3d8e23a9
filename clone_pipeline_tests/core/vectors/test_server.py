"""The server's store: what it applies, and its errors as ours."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from clone_pipeline.core.errors import (
    CloneError,
    InvalidRequest,
    NotFound,
    StorageFailed,
    StoreUnavailable,
    WorkError,
)
from clone_pipeline.core.vectors.digest import Digest
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.paging import pages
from clone_pipeline.core.vectors.port import Point
from clone_pipeline.core.vectors.requests import upsert_bodies
from clone_pipeline.core.vectors.server import ServerStore

from .points import make_point, plain_points
from .test_stores import FULL

Name = Callable[[], str]


def test_the_whole_configuration_is_applied(server: ServerStore, name: Name) -> None:
    collection = name()
    server.create(collection, FULL)
    known = server.read_config(collection)
    assert known["vectors"]["text"]["hnsw_config"] == {"m": 24}
    assert known["vectors"]["text"]["on_disk"] is True
    assert known["vectors"]["text"]["quantization_config"] == {
        "scalar": {"type": "int8", "always_ram": True}
    }
    assert known["sparse_vectors"] == FULL["sparse_vectors"]
    assert known["quantization_config"] == {"binary": {"always_ram": True}}
    for section in ("hnsw_config", "optimizers_config", "strict_mode_config"):
        assert FULL[section].items() <= known[section].items()  # type: ignore[attr-defined]
    assert known["on_disk_payload"] is True
    assert known["shard_number"] == 2
    assert known["metadata"] == FULL["metadata"]


def test_payload_indexes_keep_every_parameter(server: ServerStore, name: Name) -> None:
    collection = name()
    server.create(collection, FULL)
    schema = server.read_config(collection)["payload_schema"]
    assert schema == {
        "tenant": {"data_type": "keyword", "params": {"type": "keyword", "is_tenant": True}},
        "plain": {"data_type": "keyword", "params": {"type": "keyword"}},
        "reported": {"data_type": "integer", "params": {"type": "integer"}},
        "body": {
            "data_type": "text",
            "params": {
                "type": "text",
                "tokenizer": "word",
                "lowercase": True,
                "min_token_len": 2,
                "phrase_matching": True,
            },
        },
        "where": {"data_type": "geo", "params": {"type": "geo", "on_disk": True}},
        "when": {"data_type": "datetime", "params": {"type": "datetime"}},
    }


def test_strict_mode_is_obeyed_by_smaller_requests(server: ServerStore, name: Name) -> None:
    collection = name()
    strict = {"enabled": True, "max_query_limit": 7, "upsert_max_batchsize": 3}
    server.create(collection, {"vectors": {}, "strict_mode_config": strict})
    server.upsert(collection, [Point(id, {}, {"n": id}) for id in range(20)])
    read = [[point.id for point in page] for page in pages(server, collection, 1000)]
    assert [len(page) for page in read] == [7, 7, 6]
    assert [id for page in read for id in page] == list(range(20))


@pytest.mark.parametrize("datatype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid", "Manhattan"])
def test_a_copy_is_equal_by_the_rule_whatever_the_storage(
    server: ServerStore, name: Name, distance: str, datatype: str
) -> None:
    config = {"vectors": {"v": {"size": 5, "distance": distance, "datatype": datatype}}}
    source, target = name(), name()
    server.create(source, config)
    vectors = [[n * 1.37 % 9 + 0.1, n % 7, 3.3, 250 - n, n * n % 11] for n in range(200)]
    points = [make_point(n, {"f": n / 7}, v=vector) for n, vector in enumerate(vectors)]
    server.upsert(source, points)
    server.create(target, server.read_config(source))
    for page in pages(server, source, 64):
        server.upsert(target, page)

    how = rule(False, config)
    before, after = Digest(), Digest()
    for ours, theirs in zip(
        server.scroll(source, 500).points, server.scroll(target, 500).points, strict=True
    ):
        assert differences(ours, theirs, how) == []
        before.add(EncodedPoint.of(ours).digest(vectors=how.exact))
        after.add(EncodedPoint.of(theirs).digest(vectors=how.exact))
    assert before == after
    assert before.count == 200
    assert how.exact == ((distance, datatype) != ("Cosine", "float16"))


def test_payload_floats_are_stable_once_the_server_has_read_them(
    server: ServerStore, name: Name
) -> None:
    """The server reads one float in ten a last digit off, but never the same one twice: a copy of
    what it gives is exact, a bundle with seventeen digits is not."""
    source, target = name(), name()
    for collection in (source, target):
        server.create(collection, {"vectors": {}})
    points = [Point(n, {}, {"f": (n * 0.7310585786300049) % 1}) for n in range(2000)]
    server.upsert(source, points)
    read = server.scroll(source, 2000).points
    for point, given in zip(points, read, strict=True):
        assert given.payload["f"] == pytest.approx(point.payload["f"], rel=1e-15)
    server.upsert(target, read)
    assert server.scroll(target, 2000).points == read


# ---- requests --------------------------------------------------------------------------------


def test_requests_stay_under_the_limit() -> None:
    points = [Point(n, {}, {"text": "ü" * 100 * n}) for n in range(12)]
    bodies = list(upsert_bodies(points, 3000))
    assert len(bodies) > 3
    assert all(len(body) <= 3000 for body in bodies)
    sent = [item["id"] for body in bodies for item in json.loads(body)["points"]]
    assert sent == list(range(12))


def test_a_point_that_is_too_large_goes_alone() -> None:
    points = [Point(1, {}, {}), Point(2, {}, {"text": "x" * 5000}), Point(3, {}, {})]
    sizes = [len(json.loads(body)["points"]) for body in upsert_bodies(points, 1000)]
    assert sizes == [1, 1, 1]


def test_no_points_make_no_request() -> None:
    assert list(upsert_bodies([], 1000)) == []


# ---- errors ----------------------------------------------------------------------------------


@contextmanager
def answering(
    status: int, body: object, headers: dict[str, str] | None = None
) -> Iterator[tuple[ServerStore, list[dict[str, str]]]]:
    """A store on a loopback server that gives one answer to everything; and what it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers.items()))
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
        (500, "Service internal error: something else", WorkError),
        (400, "Wrong input: Vector dimension error", WorkError),
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


def test_no_answer_in_time_says_that_the_outcome_is_unknown() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(ServerStore.open(url, timeout_seconds=1)) as store:
            with pytest.raises(StoreUnavailable, match="is not known"):
                store.upsert("c", plain_points(1, 1))


@pytest.mark.parametrize("url", ["", "localhost:6333", "ftp://host", "http://"])
def test_what_is_no_url_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(InvalidRequest, match="http://localhost:6333"):
        ServerStore.open(url)
