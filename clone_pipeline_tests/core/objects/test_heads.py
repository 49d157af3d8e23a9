"""The signed requests that are sent instead of the client's: the same as the client's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from clone_pipeline.core.objects.heads import Answer, Credentials, Heads, NotAnswered, Route, quoted

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
ROUTE = Route(True, "b.s3.eu-west-1.amazonaws.com", 443, "b.s3.eu-west-1.amazonaws.com", "/", "eu")


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("key", ["a/b.mp4", "a b+c", "what?versionId=1#2", "50%25", "ü/日本~.txt"])
def test_a_request_is_signed_as_the_client_signs_it(
    key: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: NOW.replace(tzinfo=None))
    url = f"https://{ROUTE.host}{ROUTE.prefix}{quoted(key)}"
    theirs = AWSRequest("HEAD", url)
    S3SigV4Auth(BotoCredentials("key", "secret", token), "s3", "eu").add_auth(theirs)
    ours = ROUTE.request(key, Credentials("key", "secret", token), NOW).decode()
    lines = ours.split("\r\n")
    headers = dict(line.split(":", 1) for line in lines[1:] if line)
    assert lines[0] == f"HEAD /{quoted(key)} HTTP/1.1"
    assert headers["authorization"] == theirs.headers["Authorization"]
    assert headers.get("x-amz-security-token") == token
    assert headers["host"] == ROUTE.host


def _headers(scope: str = "eu/s3", signed: str = "host;x-amz-content-sha256;x-amz-date") -> Any:
    return {
        "Authorization": (
            f"AWS4-HMAC-SHA256 Credential=key/20260506/{scope}/aws4_request, "
            f"SignedHeaders={signed}, Signature=0"
        ).encode()
    }


def test_a_route_is_learned_from_what_the_client_has_sent() -> None:
    found = Route.learned(f"https://{ROUTE.host}/a%20b", _headers(), "a b")
    assert found == ROUTE
    path_style = Route.learned("http://127.0.0.1:9000/bucket/a", _headers(), "a")
    assert path_style == Route(False, "127.0.0.1", 9000, "127.0.0.1:9000", "/bucket/", "eu")


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://b.s3.amazonaws.com/a?x=1", _headers()),
        ("https://b.s3.amazonaws.com/another", _headers()),
        ("https://b.s3.amazonaws.com/a", _headers(scope="eu/s3express")),
        ("https://b.s3.amazonaws.com/a", _headers(signed="host;x-amz-date;x-amz-s3session-token")),
        ("https://b.s3.amazonaws.com/a", {}),
    ],
)
def test_another_kind_of_request_teaches_no_route(url: str, headers: Any) -> None:
    assert Route.learned(url, headers, "a") is None


@contextmanager
def _answering(*answers: bytes) -> Iterator[Route]:
    """A server with one answer for each connection's each request, in this order."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            left = list(answers)
            while left:
                connection, _ = server.accept()
                with connection:
                    while left and connection.recv(65_536):
                        connection.sendall(left.pop(0))

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        yield Route(False, "127.0.0.1", port, f"127.0.0.1:{port}", "/b/", "eu")
        thread.join()


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",  # no server may do so
        b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_connection_that_cannot_be_used_again_is_not(first: bytes) -> None:
    heads = Heads(lambda: None, (5, 5))
    with _answering(first, b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n") as route:
        assert heads.ask(route, b"HEAD")[0] == 404
        assert not any(heads._idle.values())
        assert heads.ask(route, b"HEAD") == Answer(200, 7)
    heads.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200", b"HTTP/1.0 200 OK\r\n\r\n", b"SSH-2.0-x\r\n\r\n"]
)
def test_what_is_no_answer_is_left_to_the_client(answer: bytes) -> None:
    heads = Heads(lambda: None, (5, 5))
    with _answering(answer) as route, pytest.raises(NotAnswered):
        heads.ask(route, b"HEAD")
