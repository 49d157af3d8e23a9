"""Copies a Qdrant collection inside its server, shard by shard, with its index.

A shard is streamed out of the source (`GET .../shards/N/snapshot`) and recovered into a collection
that was just made with the same configuration. No snapshot file is ever made, so that none can be
left behind, and the source is only read. The server pulls the stream from itself; where it may not
(`enable_snapshot_url_recovery: false`) or cannot reach itself at our URL, it goes through us.

A pull goes on in the server when we die or lose the connection, and fills the target when it ends.
So an attempt needs a name of its own: a pull that outlives the deletion of its target would else
fill what was made anew under that name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote

import httpx
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ..errors import Conflict, NotFound, StorageFailed, StoreUnavailable, WorkError
from ..words import Option
from .faults import translated
from .point import CollectionConfig

_QUICK_SECONDS = 60.0
# The server gives a reader that does not read five minutes, so we give it as long (Qdrant 1.18:
# SNAPSHOT_STREAM_WRITE_IDLE_TIMEOUT).
_STREAM_SECONDS = 300.0
# What it waits for whoever still works on a collection that is deleted, and a minute more.
_DELETE_SECONDS = 660.0
_SHARDS_AT_ONCE = 4
_POLL_SECONDS = 2.0
# How long a shard may go on filling after its answer got lost, e.g. in a proxy: an hour.
_POLLS = 1800
_CHUNK_BYTES = 1024 * 1024
# A sign of life every minute; where a system names the option otherwise, its own pace is kept.
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, option), 60)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, option)
]
_STREAMED_SINCE = (1, 13)

How = Literal["pulled", "relayed"]


@dataclass(frozen=True)
class Copied:
    """What a native copy did. `how`: the server pulled from itself, or the bytes went through us,
    for `reason`."""

    shards: int
    how: How
    reason: str | None


@dataclass(frozen=True)
class Layout:
    """How a collection lies on its server; `shards`: the points of each shard of this node."""

    shards: dict[int, int]
    several_nodes: bool
    custom_sharding: bool
    unsettled: bool
    outdated: bool

    @property
    def plain(self) -> bool:
        """Whether one node holds all shards, numbered by the server, and none is on the move."""
        return not (self.several_nodes or self.custom_sharding or self.unsettled)


class Server(Protocol):
    """What is needed of a server's store."""

    @property
    def where(self) -> str: ...

    def address(self) -> tuple[str, str | None]: ...

    def exists(self, collection: str) -> bool: ...

    def create(self, collection: str, config: CollectionConfig) -> None: ...


@dataclass(frozen=True)
class NativeLane:
    """What a Qdrant server can do by itself."""

    server: Server

    def layout(self, collection: str) -> Layout:
        """Raises NotFound, StoreUnavailable, WorkError where the key may not see it."""
        with _Link.open(self.server) as link:
            peers = link.get("/cluster").get("peers") or {}
            info = link.get(f"{_path(collection)}/cluster")
            params = link.get(_path(collection))["config"]["params"]
            version = str(link.get("/", whole=True)["version"])
        local, remote = info["local_shards"], info["remote_shards"]
        return Layout(
            shards={shard["shard_id"]: shard["points_count"] for shard in local},
            several_nodes=len(peers) > 1 or bool(remote),
            custom_sharding=params.get("sharding_method") == "custom"
            or any("shard_key" in shard for shard in local),
            unsettled=bool(info.get("shard_transfers") or info.get("resharding_operations"))
            or any(shard["state"] != "Active" for shard in local),
            outdated=_numbers(version) < _STREAMED_SINCE,
        )

    def count_where(self, collection: str, condition: dict[str, Any]) -> int:
        """How many points a filter fits, exactly. Raises WorkError where strict mode forbids it."""
        with _Link.open(self.server) as link:
            body = {"filter": condition, "exact": True}
            return int(link.ask("POST", f"{_path(collection)}/points/count", json=body)["count"])

    def copy(
        self,
        source: str,
        target: str,
        config: CollectionConfig,
        *,
        sleep: Callable[[float], None],
        check: Callable[[], None] = lambda: None,
    ) -> Copied:
        """Makes `target` with `config`, which has to be the source's, and fills it with its points.

        `target` is a name that no attempt has used. `check` is called before every write, also in
        other threads; what it raises ends the copy. After a failure the target is incomplete:
        `remove` it.

        Raises Conflict where the target exists or the shards do not allow it; StorageFailed for a
        full disk; StoreUnavailable, also where a restart of the server or a lost answer leaves it
        unknown whether a shard was filled; WorkError for everything that the server refuses.
        """
        if self.server.exists(target):
            raise Conflict(
                f"{self.server.where} has a collection {target} already; a native copy needs a new "
                "name."
            )
        layout = self.layout(source)
        check()
        self.server.create(target, config)
        made = self.layout(target)
        shards = layout.shards
        if not layout.plain or shards.keys() != made.shards.keys():
            raise Conflict(
                f"{self.server.where} has other shards for {target} than for {source}, or is "
                "moving shards; use ",
                Option("lane", "stream"),
                ".",
            )
        with _Link.open(self.server, patient=True) as link:
            copy = _Copy(link, source, target, sleep, check)
            first, *rest = sorted(shards)
            # The first one tells whether the server can pull. It streams a shard with one core.
            copy.shard(first, shards[first])
            with ThreadPoolExecutor(_SHARDS_AT_ONCE) as pool:
                for done in [pool.submit(copy.shard, shard, shards[shard]) for shard in rest]:
                    done.result()
        return Copied(len(shards), copy.how, copy.reason)

    def remove(self, collection: str) -> None:
        """Deletes what an attempt left behind, whatever its state; nothing happens without any.

        A server that still fills it lets that end first, for up to ten minutes.
        """
        with _Link.open(self.server, patient=True) as link:
            try:
                link.ask("DELETE", _path(collection), timeout=_DELETE_SECONDS)
            except NotFound:
                return


class _AnswerLost(Exception):
    """The request may have been done, or still be under way."""

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class _Link:
    """A connection of its own: answers take long, and snapshots do not fit into one."""

    http: httpx.Client
    url: str
    key: str | None
    where: str

    @classmethod
    @contextmanager
    def open(cls, server: Server, *, patient: bool = False) -> Iterator[_Link]:
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
        except _AnswerLost as lost:
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
        """The result; `timeout` None waits for it as long as it takes. Raises _AnswerLost too."""
        patience = httpx.Timeout(_QUICK_SECONDS, read=timeout)
        try:
            answer = self.http.request(method, self.url + path, timeout=patience, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            with translated(self.where):
                raise ResponseHandlingException(error) from error
        except httpx.TransportError as error:
            raise _AnswerLost(_unknown(self.where)) from error
        if answer.status_code in (502, 504):
            raise _AnswerLost(_unknown(self.where))
        with translated(self.where):
            if answer.status_code >= 300:
                raise UnexpectedResponse.for_response(answer)
            return answer.json() if whole else answer.json()["result"]

    def started(self) -> str:
        """When the server was started: another answer means that what was under way is lost."""
        return str(self.get("/telemetry")["app"]["startup"])


class _Copy:
    def __init__(
        self,
        link: _Link,
        source: str,
        target: str,
        sleep: Callable[[float], None],
        check: Callable[[], None],
    ) -> None:
        self.link = link
        self.source = source
        self.target = target
        self.sleep = sleep
        self.check = check
        self.how: How = "pulled"
        self.reason: str | None = None

    def shard(self, shard: int, points: int) -> None:
        self.check()
        started = self.link.started()
        fill = self._pull if self.how == "pulled" else self._relay
        try:
            fill(shard)
        except _AnswerLost as lost:
            self._wait_until_filled(shard, points, started, lost.error)
        except (StoreUnavailable, StorageFailed, NotFound):
            raise
        except WorkError as error:
            if self.how == "relayed":
                raise
            self.how, self.reason = "relayed", error.message
            self.shard(shard, points)

    def _pull(self, shard: int) -> None:
        """Every refusal may be one of pulling only: the source's own is told by the relay too."""
        body = {
            "location": f"{self.link.url}{_path(self.source)}/shards/{shard}/snapshot",
            "priority": "snapshot",
            "api_key": self.link.key,
        }
        path = f"{_path(self.target)}/shards/{shard}/snapshots/recover"
        self.link.call("PUT", path, json=body, params={"wait": "true"}, timeout=None)

    def _relay(self, shard: int) -> None:
        upload = f"{_path(self.target)}/shards/{shard}/snapshots/upload"
        params = {"wait": "true", "priority": "snapshot"}
        with self._snapshot(shard) as answer:
            body = _Body(answer, self.link.where)
            files = {"snapshot": ("shard.snapshot", body, "application/octet-stream")}
            try:
                self.link.call("POST", upload, files=files, params=params, timeout=None)
            except _AnswerLost as lost:
                if body.ended:
                    raise
                raise lost.error from lost

    @contextmanager
    def _snapshot(self, shard: int) -> Iterator[httpx.Response]:
        # It would be packed for us, at the cost of the server's processors (measured, 1.18).
        plain = {"Accept-Encoding": "identity"}
        path = f"{self.link.url}{_path(self.source)}/shards/{shard}/snapshot"
        patience = httpx.Timeout(_STREAM_SECONDS)
        with translated(self.link.where):
            try:
                request = self.link.http.build_request("GET", path, headers=plain, timeout=patience)
                answer = self.link.http.send(request, stream=True)
                if answer.status_code >= 300:
                    answer.read()
            except httpx.TransportError as error:
                raise ResponseHandlingException(error) from error
            if answer.status_code >= 300:
                raise UnexpectedResponse.for_response(answer)
        try:
            yield answer
        finally:
            answer.close()

    def _wait_until_filled(
        self, shard: int, points: int, started: str, lost: StoreUnavailable
    ) -> None:
        """A shard is filled in one step, so that its first points are all of them."""
        for _ in range(_POLLS if points else 0):
            self.sleep(_POLL_SECONDS)
            try:
                if self.link.started() != started:
                    raise lost
                shards = self.link.get(f"{_path(self.target)}/cluster")["local_shards"]
            except StoreUnavailable as error:
                if error is lost:
                    raise
                continue
            if any(item["shard_id"] == shard and item["points_count"] for item in shards):
                return
        raise lost


class _Body:
    """A snapshot that is read while it arrives; `ended` when all of it was."""

    def __init__(self, snapshot: httpx.Response, where: str) -> None:
        self._chunks = snapshot.iter_raw(_CHUNK_BYTES)
        self._where = where
        self.ended = False

    def read(self, _size: int = -1) -> bytes:
        try:
            chunk = next(self._chunks, b"")
        except httpx.TransportError as error:
            raise StoreUnavailable(
                f"{self._where} broke off while it gave out a snapshot; nothing was stored of it."
            ) from error
        self.ended = not chunk
        return chunk


def _unknown(where: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{where} did not answer to the end; whether the operation was done is not known."
    )


def _path(collection: str) -> str:
    return f"/collections/{quote(collection, safe='')}"


def _numbers(version: str) -> tuple[int, ...]:
    """`1.18.3-dev` as (1, 18)."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
