"""HEAD requests without the machinery of the AWS client, which costs a millisecond and a half each.

The client asks for the first file of each bucket. From the request that it then sends (after its
rules for endpoints, and its redirects to the right region) a `Route` is learned, by which the
bucket's other files are asked for: the same address, the same signature. Whatever is out of the
ordinary is left to the client.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")
_SIGNED = ("host", "x-amz-content-sha256", "x-amz-date")
_NO_BODY = hashlib.sha256(b"").hexdigest()
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb'\r\netag:[ \t]*(?:W/)?"?([^"\r]*)', re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_LONGEST = 65_536  # of an answer's headers


class NotAnswered(Exception):
    """The file has to be asked for by the client: the connection broke, or the answer is odd."""


class Answer(NamedTuple):
    """What a store says of a file: status, size in bytes, and ETag without its quotes."""

    status: int
    size: int = 0
    etag: str = ""


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None


@dataclass(frozen=True)
class Route:
    """Where the files of a bucket are asked for: at `prefix` and the quoted key."""

    tls: bool
    host: str
    port: int
    host_header: str
    prefix: str
    region: str

    @classmethod
    def learned(cls, url: str, headers: Mapping[str, Any], key: str) -> Route | None:
        """From a request that the client has signed and sent; None for one of another kind."""
        place = urlsplit(url)
        scope = _SCOPE.match(_text(headers.get("Authorization", "")))
        signed = _text(headers.get("Authorization", "")).partition("SignedHeaders=")[2]
        names = set(signed.partition(",")[0].split(";")) - {"x-amz-security-token"}
        path = quoted(key)
        if scope is None or names != set(_SIGNED) or place.query or not place.path.endswith(path):
            return None
        tls = place.scheme == "https"
        return cls(
            tls=tls,
            host=place.hostname or "",
            port=place.port or (443 if tls else 80),
            host_header=place.netloc,
            prefix=place.path[: -len(path)],
            region=scope[1],
        )

    def request(self, key: str, credentials: Credentials, now: datetime) -> bytes:
        """A signed HEAD request."""
        path = self.prefix + quoted(key)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        headers = dict(zip(_SIGNED, (self.host_header, _NO_BODY, stamp), strict=True))
        if credentials.token is not None:
            headers["x-amz-security-token"] = credentials.token
        lines = [f"{name}:{value}" for name, value in headers.items()]
        signed = ";".join(headers)
        canonical = "\n".join(["HEAD", path, "", *lines, "", signed, _NO_BODY])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signing = _signing_key(credentials.secret_key, stamp[:8], self.region)
        signature = hmac.digest(
            signing, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        authorization = (
            f"authorization:AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return "\r\n".join([f"HEAD {path} HTTP/1.1", *lines, authorization, "", ""]).encode()


def quoted(key: str) -> str:
    """As S3 wants a key to be quoted, in the path and in the signature."""
    return quote(key, safe="/~")


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Heads:
    """Connections that are kept. Safe to use from several threads."""

    def __init__(
        self, trusted: Callable[[], ssl.SSLContext | None], timeouts: tuple[float, float]
    ) -> None:
        """`trusted` is asked at the first https address, and says None where it cannot be told;
        `timeouts` are those to connect and to read, in seconds."""
        self._trusted = cache(trusted)
        self._connect_timeout, self._read_timeout = timeouts
        self._idle: dict[tuple[str, int], deque[socket.socket]] = {}

    def close(self) -> None:
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    def ask(self, route: Route, request: bytes) -> Answer:
        """Raises NotAnswered."""
        idle = self._idle.setdefault((route.host, route.port), deque())
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect(route)
        try:
            connection.sendall(request)
            answer = _read_headers(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise NotAnswered from error
            raise
        if answer.endswith(b"\r\n\r\n") and not _CLOSES.search(answer):
            idle.append(connection)
        else:
            connection.close()
        length, etag = _LENGTH.search(answer), _ETAG.search(answer)
        return Answer(
            status=int(answer[9:12]),
            size=int(length[1]) if length else 0,
            etag=etag[1].decode("latin-1") if etag else "",
        )

    def _connect(self, route: Route) -> socket.socket:
        tls = self._trusted() if route.tls else None
        if route.tls and tls is None:
            raise NotAnswered
        try:
            connection = socket.create_connection((route.host, route.port), self._connect_timeout)
        except OSError as error:
            raise NotAnswered from error
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                connection = tls.wrap_socket(connection, server_hostname=route.host)
            connection.settimeout(self._read_timeout)
        except OSError as error:
            connection.close()
            raise NotAnswered from error
        return connection


def _read_headers(connection: socket.socket) -> bytes:
    """An answer without a body, which HEAD's is. Raises NotAnswered for what is none."""
    answer = connection.recv(_LONGEST)
    while b"\r\n\r\n" not in answer:
        more = connection.recv(_LONGEST)
        if not more or len(answer) > _LONGEST:
            raise ConnectionError("The answer has no end.")
        answer += more
    if not answer.startswith(b"HTTP/1.1 ") or not answer[9:12].isdigit():
        raise ConnectionError("The answer is not in HTTP/1.1.")
    return answer
