"""The signed requests that are sent instead of the client's: the same as the client's."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from clone_pipeline.core.objects.signing import Credentials, Route, quoted

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
ROUTE = Route(True, "b.s3.eu-west-1.amazonaws.com", 443, "b.s3.eu-west-1.amazonaws.com", "/", "eu")


WRITING = {
    "if-none-match": "*",
    "content-type": "video/mp4",
    "x-amz-copy-source": "b/a%20b",
    "x-amz-meta-owner": "some  body",
}


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [("HEAD", {}, b""), ("PUT", WRITING, b""), ("PUT", WRITING, b"content")],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("key", ["a/b.mp4", "a b+c", "what?versionId=1#2", "50%25", "ü/日本~.txt"])
def test_a_request_is_signed_as_the_client_signs_it(
    key: str,
    token: str | None,
    method: str,
    headers: dict[str, str],
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: NOW.replace(tzinfo=None))
    url = f"https://{ROUTE.host}{ROUTE.prefix}{quoted(key)}"
    theirs = AWSRequest(method, url, headers=headers, data=body)
    theirs.context["payload_signing_enabled"] = True
    S3SigV4Auth(BotoCredentials("key", "secret", token), "s3", "eu").add_auth(theirs)
    account = Credentials("key", "secret", token)
    ours = ROUTE.request(method, key, account, NOW, headers, body).decode()
    lines = ours.split("\r\n")
    sent = dict(line.split(":", 1) for line in lines[1:] if line)
    assert lines[0] == f"{method} /{quoted(key)} HTTP/1.1"
    assert sent["authorization"] == theirs.headers["Authorization"]
    assert sent.get("x-amz-security-token") == token
    assert sent["host"] == ROUTE.host
    assert sent.items() >= headers.items()
    assert sent.get("content-length") == (str(len(body)) if method == "PUT" else None)


@pytest.mark.parametrize("text", ["\ud800", "ü"])
def test_what_no_header_can_hold_is_not_sent(text: str) -> None:
    account = Credentials("key", "secret", None)
    with pytest.raises(UnicodeEncodeError):
        ROUTE.request("PUT", "a", account, NOW, {"x-amz-meta-owner": text})


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
