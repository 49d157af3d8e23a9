"""Whether referenced files exist, asked of a real S3 server, and of one that misbehaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from botocore.loaders import JSONFileLoader

from clone_pipeline.core.errors import InvalidRequest, StoreUnavailable
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.objects.location import locations
from clone_pipeline.core.objects.s3 import _HANDFUL, NAMED, ObjectStore
from clone_pipeline_tests.conftest import S3

pytestmark = pytest.mark.outside


@pytest.fixture
def store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    store = ObjectStore.open(FilesAddress(s3.url))
    yield store
    store.close()


def test_what_there_is_to_know_of_s3_is_read_for_the_first_client_only(
    s3: S3, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read.append(path))
        ObjectStore.open(FilesAddress(s3.url)).close()
    assert read == []


def _listing(s3: S3) -> list[tuple[str, str, Any]]:
    found = s3.client.list_objects_v2(Bucket=s3.bucket).get("Contents", [])
    return [(item["Key"], item["ETag"], item["LastModified"]) for item in found]


def test_existing_files_are_counted_and_missing_ones_named(s3: S3, store: ObjectStore) -> None:
    here = [s3.put(f"org/{number}.txt", b"x" * number) for number in range(1, 6)]
    gone = f"s3://{s3.bucket}/org/gone.txt"
    no_bucket = "s3://no-such-bucket-anywhere/a.txt"
    files = [("obj_1", here[0]), ("obj_2", gone), *[("obj_3", url) for url in here[1:]]]
    report = store.check([*files, ("obj_4", no_bucket)])
    assert report.checked == 7
    assert report.bytes == 1 + 2 + 3 + 4 + 5
    assert report.missing == [("obj_2", gone), ("obj_4", no_bucket)]
    assert report.missing_count == 2
    assert report.unreadable_count == 0


def test_of_hundreds_exactly_the_missing_ones_are_named_in_their_order(
    s3: S3, store: ObjectStore
) -> None:
    files = []
    for number in range(300):
        key = f"org 1/ns+1/{number:04} ü%/file.mp4"
        missing = number % 7 == 3
        location = f"s3://{s3.bucket}/{key}" if missing else s3.put(key, b"x" * number)
        files.append((f"obj_{number:04}", location))
    gone = [file for number, file in enumerate(files) if number % 7 == 3]
    report = store.check(files)
    assert (report.checked, report.missing_count) == (300, len(gone))
    assert report.missing == gone
    assert report.bytes == sum(number for number in range(300) if number % 7 != 3)
    assert report.unreadable_count == 0


@pytest.mark.parametrize("key", ["a b+c", "what?versionId=1#2", "50%25 off", "ü/日本.txt", "a//b"])
def test_a_key_is_taken_as_it_is_written(s3: S3, store: ObjectStore, key: str) -> None:
    report = store.check([("here", s3.put(key)), ("gone", f"s3://{s3.bucket}/{key}x")])
    assert [label for label, _ in report.missing] == ["gone"]


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3://No Bucket!/key"])
def test_a_location_that_names_no_file_is_missing(store: ObjectStore, url: str) -> None:
    assert store.check([("obj", url)]).missing == [("obj", url)]


class _Body:
    """Of an answer that has none."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


HALF = "210514 Mail acceptaci\udcc3\udcb3.pdf"


@pytest.mark.parametrize("place", ["first", "later", "bucket"])
def test_half_a_surrogate_pair_names_no_file_and_hides_no_other(
    s3: S3, store: ObjectStore, place: str
) -> None:
    half = (
        "half",
        f"s3://{s3.bucket}{HALF}/key" if place == "bucket" else f"s3://{s3.bucket}/{HALF}",
    )
    files = [("here", s3.put(f"{number}")) for number in range(3)]
    files.insert(0 if place == "first" else 2, half)
    report = store.check(files)
    assert (report.checked, report.missing_count, report.bytes) == (4, 1, 3)
    assert report.missing == [half]


@pytest.mark.parametrize(
    ("arn", "service"),
    [
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/my-point", "s3-accesspoint"),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint:my-point", "s3-accesspoint"),
        ("arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/my-point", "s3-accesspoint"),
        (
            "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/my-point",
            "s3-object-lambda",
        ),
        (
            "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/my-point",
            "s3-outposts",
        ),
    ],
)
def test_the_file_of_an_access_point_is_asked_for_by_its_arn(
    credentials: None, monkeypatch: pytest.MonkeyPatch, arn: str, service: str
) -> None:
    region = arn.split(":")[3]
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    sent: list[str] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.url)
        return AWSResponse(request.url, 200, {"content-length": "5"}, _Body())

    with closing(ObjectStore.open(FilesAddress())) as store:
        store._client.meta.events.register("before-send.s3.HeadObject", answer)
        report = store.check([("obj", f"s3://{arn}/folder/a file?#")])
    assert (report.checked, report.bytes, report.missing_count) == (1, 5, 0)
    assert urlsplit(sent[0]).path == "/folder/a%20file%3F%23"
    host = urlsplit(sent[0]).netloc
    assert host.startswith("my-point-123456789012.")
    assert f"{service}.{region}.amazonaws.com" in host


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sqs:us-east-1:123456789012:queue",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/a:b",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/not-there",
        "arn:aws:s3:us-east-1:12:accesspoint/x",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/",
        "arn:",
    ],
)
def test_an_arn_that_cannot_be_asked_ends_no_check(s3: S3, store: ObjectStore, arn: str) -> None:
    def no_such_host(request: Any, **_: Any) -> None:
        if "not-there" in request.url:
            raise EndpointConnectionError(endpoint_url=request.url)

    store._client.meta.events.register("before-send.s3.HeadObject", no_such_host)
    files = [("here", s3.put("a")), ("arn", f"s3://{arn}/key"), ("here", s3.put("b"))]
    report = store.check(files)
    assert (report.checked, report.bytes) == (3, 2)
    assert [label for label, _ in report.missing + report.unreadable] == ["arn"]


def test_nothing_is_asked_but_heads_and_nothing_is_written(
    s3: S3, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [("obj", s3.put(f"{number}")) for number in range(3)]
    before = _listing(s3)
    sent = []
    store._client.meta.events.register(
        "before-send.s3", lambda request, **_: sent.append(request.method)
    )
    ask = store._connections.ask
    monkeypatch.setattr(
        store._connections,
        "ask",
        lambda route, request, body: sent.append(request[:4].decode()) or ask(route, request, body),
    )
    report = store.check([*files, ("gone", f"s3://{s3.bucket}/gone"), ("gone", "s3://none/gone")])
    assert report.checked == 5
    assert (len(sent), {method.strip() for method in sent}) == (5, {"HEAD"})
    assert _listing(s3) == before


def test_a_key_without_rights_makes_files_unreadable_not_missing(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3.put("a.txt")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.env["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with _open(s3.url) as store:
        report = store.check([("obj", url)])
    assert report.unreadable == [("obj", url)]
    assert (report.checked, report.unreadable_count, report.missing_count) == (1, 1, 0)


# ---- what needs no server, or one that misbehaves --------------------------------------------


def test_other_locations_are_counted_but_not_asked_for(credentials: None) -> None:
    with _answering(200) as server, _open(server.url) as store:
        report = store.check(
            [("a", "https://example.org/x"), ("b", "http://example.org/x"), ("c", "org/file.txt")]
        )
    assert (report.checked, report.elsewhere, report.without_bucket) == (0, 2, 1)
    assert server.methods == []


def test_only_the_first_hundred_are_named(credentials: None) -> None:
    with _answering(404) as server, _open(server.url) as store:
        report = store.check((str(number), f"s3://b/{number}") for number in range(NAMED + 20))
    assert report.missing_count == NAMED + 20
    assert [label for label, _ in report.missing] == [str(number) for number in range(NAMED)]


def test_files_are_drawn_only_as_answers_come_in(credentials: None) -> None:
    drawn = 0
    ahead = []

    def files() -> Iterator[tuple[str, str]]:
        nonlocal drawn
        for number in range(200):
            ahead.append(drawn - len(server.methods))
            drawn += 1
            yield str(number), f"s3://b/{number}"

    with _answering(200) as server, _open(server.url) as store:
        assert store.check(files(), concurrency=2).checked == 200
    assert max(ahead) < (2 * 2 + 1) * _HANDFUL
    assert max(ahead[:30]) <= 2 * 2


def test_as_many_are_asked_at_once_as_was_said(credentials: None) -> None:
    files = [(str(number), f"s3://b/{number}") for number in range(17)]
    with _answering(200, together=4) as server, _open(server.url) as store:
        # Behind the first of a bucket the server answers four at a time, so fewer would wait for
        # ever and more would show.
        assert store.check(files, concurrency=4).checked == 17
    assert server.most_at_once == 4


def test_without_credentials_the_sentence_names_the_variables() -> None:
    with _answering(200) as server, _open(server.url) as store:
        with pytest.raises(InvalidRequest, match="AWS_ACCESS_KEY_ID"):
            store.check([("obj", "s3://b/a")])
        assert server.methods == []


def test_a_store_that_does_not_answer_is_unavailable(credentials: None) -> None:
    with _answering(200) as server:
        url = server.url
    with _open(url) as store, pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        store.check(((str(number), f"s3://b/{number}") for number in range(1000)), concurrency=1)
    assert url in caught.value.message
    assert "\n" not in caught.value.message


def test_a_busy_store_is_asked_again_and_then_unavailable(
    credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    with _answering(503) as server, _open(server.url) as store:
        with pytest.raises(StoreUnavailable, match="busy"):
            store.check([("obj", "s3://b/a")])
    assert server.methods == ["HEAD"] * 4


@pytest.mark.parametrize("status", [429, 500, 503, 400])
def test_an_answer_that_is_no_plain_one_is_asked_for_again_by_the_client(
    credentials: None, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The first teaches the bucket's route, the second meets the status twice."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    with _answering(200) as server, _open(server.url) as store:
        server.statuses = [200, status, status]
        report = store.check([("one", "s3://b/1"), ("two", "s3://b/2")], concurrency=1)
        again = len(server.methods) - 1
    # It asks a busy server once more, and after a 400 in which region the bucket is.
    assert again == 3
    assert report.checked == 2
    assert report.unreadable == ([("two", "s3://b/2")] if status == 400 else [])


def test_a_connection_that_the_server_has_closed_meanwhile_is_no_missing_file(
    credentials: None,
) -> None:
    with _answering(200) as server, _open(server.url) as store:
        assert store.check([("one", "s3://b/1"), ("two", "s3://b/2")], concurrency=1).checked == 2
        for connections in store._connections._idle.values():
            for connection in connections:
                connection.shutdown(socket.SHUT_RDWR)
        report = store.check([("three", "s3://b/3")], concurrency=1)
    assert (report.checked, report.missing_count, report.unreadable_count) == (1, 0, 0)


@pytest.mark.parametrize("url", ["localhost:9000", "http://", "ftp//x"])
def test_an_endpoint_that_is_no_url_is_refused(credentials: None, url: str) -> None:
    with pytest.raises(InvalidRequest, match="S3_ENDPOINT_URL"):
        ObjectStore.open(FilesAddress(url))


def test_locations_of_an_object_are_given_as_written() -> None:
    document = {
        "object_id": "obj_1",
        "key_prefix": "not/a/file",
        "url": "s3://user/data",
        "blobs": [
            {"properties": {"url": "s3://b/org_1/ns_1/a b.txt"}, "key_prefix": "ignored"},
            {"properties": {"url": "https://example.org/a"}},
            {"data": {"url": "s3://b/older"}},
            {"data": "s3://b/oldest"},
            {"key_prefix": "only/a/key"},
            {"data": "a text that stands in the record itself", "properties": None},
            {"properties": {"url": 7}, "key_prefix": None},
            "no blob",
        ],
    }
    assert list(locations(document)) == [
        "s3://b/org_1/ns_1/a b.txt",
        "https://example.org/a",
        "s3://b/older",
        "s3://b/oldest",
        "only/a/key",
    ]


@pytest.mark.parametrize("blobs", [None, [], {}, "text", 7])
def test_an_object_without_blobs_has_no_locations(blobs: Any) -> None:
    assert list(locations({"blobs": blobs})) == []
    assert list(locations({})) == []


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@contextmanager
def _open(url: str) -> Iterator[ObjectStore]:
    store = ObjectStore.open(FilesAddress(url))
    try:
        yield store
    finally:
        store.close()


class _Server(ThreadingHTTPServer):
    """Answers everything with one status, `together` at a time, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, status: int, together: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.methods: list[str] = []
        self.statuses: list[int] = []  # of the next answers, before `status`
        self.lock = threading.Lock()
        self.gate = threading.Barrier(together)
        self.at_once = self.most_at_once = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # keeps connections

    def do_HEAD(self) -> None:
        server = self.server
        with server.lock:
            server.methods.append(self.command)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            first = len(server.methods) == 1
        if not first:
            server.gate.wait(timeout=60)
        with server.lock:
            server.at_once -= 1
            status = server.statuses.pop(0) if server.statuses else server.status
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _answering(status: int, together: int = 1) -> Iterator[_Server]:
    with _Server(status, together) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
