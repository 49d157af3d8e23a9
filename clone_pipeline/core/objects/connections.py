"""Connections to a store that are kept, and the answers to what is sent over them."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from .signing import Route

_LONGEST = 65_536  # of an answer's headers
_WITHOUT_BODY = (204, 304)


class NotAnswered(Exception):
    """The client has to ask: the connection broke."""


class OddlyAnswered(NotAnswered):
    """The client has to ask, now and later: what came is no answer that can be read here."""


@dataclass(frozen=True)
class Response:
    """`headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def size(self) -> int:
        """Of the file, as an answer to HEAD says it; 0 where it does not."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() else 0

    @property
    def etag(self) -> str:
        """Without its quotes."""
        return self.headers.get("etag", "").removeprefix("W/").strip('"')


class Connections:
    """Safe to use from several threads."""

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

    def ask(self, route: Route, request: bytes, body: bytes = b"") -> Response:
        """Raises NotAnswered: what the request was to do may be done all the same."""
        idle = self._idle.setdefault((route.host, route.port), deque())
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect(route)
        try:
            connection.sendall(request)
            if body:
                connection.sendall(body)
            reader = _Reader(connection)
            response = reader.response(to_head=request.startswith(b"HEAD "))
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise NotAnswered from error
            if isinstance(error, ValueError):
                raise OddlyAnswered from error
            raise
        if reader.left or response.headers.get("connection", "").lower() == "close":
            connection.close()
        else:
            idle.append(connection)
        return response

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


class _Reader:
    """Reads one answer. Raises OSError where it breaks off, ValueError for what is none; `left` is
    what came after it, which nobody has asked for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.left = b""

    def response(self, *, to_head: bool) -> Response:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        if not first.startswith("HTTP/1.1 "):
            raise ValueError("The answer is not in HTTP/1.1.")
        status, headers = int(first[9:12]), dict(map(_header, lines))
        body = b"" if to_head or status in _WITHOUT_BODY else self._body(headers)
        return Response(status, headers, body)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(headers.get("content-length", "none is told")))
        body = b""
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # headers that come last
        return body

    def _until(self, end: bytes) -> bytes:
        while end not in self.left:
            if len(self.left) > _LONGEST:
                raise ValueError("The answer's headers have no end.")
            self._receive()
        found, _, self.left = self.left.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self.left) < size:
            self._receive()
        found, self.left = self.left[:size], self.left[size:]
        return found

    def _receive(self) -> None:
        more = self._connection.recv(_LONGEST)
        if not more:
            raise ConnectionError("The answer has no end.")
        self.left += more


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
