"""A connection of its own to a Qdrant server, for copying shards: answers take long, and snapshots
do not fit into one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ..errors import NotFound, StoreUnavailable, WorkError
from .faults import translated
from .point import CollectionConfig, Filter

_QUICK_SECONDS = 60.0
# A sign of life every minute; where a system names the option otherwise, its own pace is kept.
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, option), 60)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, option)
]


class Server(Protocol):
    """What is needed of a server's store."""

    @property
    def where(self) -> str: ...

    def address(self) -> tuple[str, str | None]: ...

    def exists(self, collection: str) -> bool: ...

    def create(self, collection: str, config: CollectionConfig) -> None: ...

    def take_back_limits(self, collection: str, config: CollectionConfig) -> None: ...

    def count(self, collection: str, where: Filter | None = None) -> int: ...


@dataclass(frozen=True)
class Node:
    """A server: its version as (1, 18), and whether it is one of `several` of a cluster."""

    version: tuple[int, ...]
    several: bool


class AnswerLost(Exception):
    """The request may have been done, or still be under way."""

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class Link:
    """Of one server; `key` is what it is spoken to with."""

    http: httpx.Client
    url: str
    key: str | None
    where: str

    @classmethod
    @contextmanager
    def open(cls, server: Server, *, patient: bool = False) -> Iterator[Link]:
        """`patient`: for answers that take longer than a router remembers a silent connection."""
        url, key = server.address()
        tls = url.startswith("https:")  # else no certificates are loaded, which takes its time
        transport = httpx.HTTPTransport(tls, socket_options=_KEEP_ALIVE) if patient else None
        headers = {} if key is None else {"api-key": key}
        with httpx.Client(transport=transport, headers=headers, verify=tls) as http:
            yield cls(http, url.rstrip("/"), key, server.where)

    def get(self, path: str, *, whole: bool = False) -> Any:
        return self.ask("GET", path, whole=whole)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """`call` for what does no harm when it is done twice: a lost answer is no answer."""
        try:
            return self.call(method, path, **options)
        except AnswerLost as lost:
            raise lost.error from lost

    def call(
        self,
        method: str,
        path: str,
        *,
        timeout: float | None = _QUICK_SECONDS,
        whole: bool = False,
        **options: Any,
    ) -> Any:
        """The result; `timeout` None waits for it as long as it takes. Raises AnswerLost too."""
        patience = httpx.Timeout(_QUICK_SECONDS, read=timeout)
        try:
            answer = self.http.request(method, self.url + path, timeout=patience, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            with translated(self.where):
                raise ResponseHandlingException(error) from error
        except httpx.TransportError as error:
            raise AnswerLost(_unknown(self.where)) from error
        if answer.status_code in (502, 504):
            raise AnswerLost(_unknown(self.where))
        with translated(self.where):
            if answer.status_code >= 300:
                raise UnexpectedResponse.for_response(answer)
            return answer.json() if whole else answer.json()["result"]

    def node(self) -> Node:
        peers = self.get("/cluster").get("peers") or {}
        version = str(self.get("/", whole=True)["version"])
        return Node(_numbers(version), len(peers) > 1)

    def segments(self, collection: str, shard: int) -> set[str]:
        """Their ids, which a copy of the shard keeps (measured, 1.18). Raises WorkError."""
        path = f"{path_of(collection)}/shards/{shard}/snapshot/partial/manifest"
        try:
            return set(self.get(path))
        except NotFound as error:
            raise WorkError(error.message) from error

    def started(self) -> str:
        """When the server was started: another answer means that what was under way is lost."""
        return str(self.get("/telemetry")["app"]["startup"])


def _unknown(where: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{where} did not answer to the end; whether the operation was done is not known."
    )


def path_of(collection: str) -> str:
    return f"/collections/{quote(collection, safe='')}"


def _numbers(version: str) -> tuple[int, ...]:
    """`1.18.3-dev` as (1, 18)."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
