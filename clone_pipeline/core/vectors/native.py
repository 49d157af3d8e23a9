"""Copies a Qdrant collection inside its server, or out of another one, shard by shard, with its
index.

A shard is streamed out of the source (`GET .../shards/N/snapshot`) and recovered into a collection
that was just made with the same configuration. No snapshot file is ever made, so that none can be
left behind, and the source is only read; a key that may only read is not enough for it, all the
same (Qdrant 1.18: `src/common/snapshots.rs`). The target's server pulls the stream from the
source's URL, with the source's key; where it may not (`enable_snapshot_url_recovery: false`) or
cannot reach that URL, the stream goes through us.

What our URL leads to from there may be another server (`localhost`). So what was pulled out of
another server is compared with what that one has told us of its segments.

A pull goes on in the server when we die or lose the connection, and fills the target when it ends.
So an attempt needs a name of its own: a pull that outlives the deletion of its target would else
fill what was made anew under that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ..errors import Conflict, NotFound, StorageFailed, StoreUnavailable, WorkError
from ..words import Option
from .faults import translated
from .link import AnswerLost, Link, Node, Server, path_of
from .point import CollectionConfig

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
_STREAMED_SINCE = (1, 13)

How = Literal["pulled", "relayed"]


@dataclass(frozen=True)
class Copied:
    """What a native copy did. `how`: the server pulled, or the bytes went through us, for
    `reason`."""

    shards: int
    how: How
    reason: str | None


@dataclass(frozen=True)
class Layout:
    """How a collection lies on its server; `shards`: the points of each shard of this node."""

    node: Node
    shards: dict[int, int]
    several_nodes: bool
    custom_sharding: bool
    unsettled: bool

    @property
    def outdated(self) -> bool:
        return self.node.version < _STREAMED_SINCE

    @property
    def plain(self) -> bool:
        """Whether one node holds all shards, numbered by the server, and none is on the move."""
        return not (self.several_nodes or self.custom_sharding or self.unsettled)


@dataclass(frozen=True)
class NativeLane:
    """What a Qdrant server can do by itself."""

    server: Server

    def node(self) -> Node:
        """Raises StoreUnavailable, WorkError where the key may not see it."""
        with Link.open(self.server) as link:
            return link.node()

    def layout(self, collection: str) -> Layout:
        """Raises NotFound, StoreUnavailable, WorkError where the key may not see it."""
        with Link.open(self.server) as link:
            node = link.node()
            info = link.get(f"{path_of(collection)}/cluster")
            params = link.get(path_of(collection))["config"]["params"]
        local, remote = info["local_shards"], info["remote_shards"]
        return Layout(
            node=node,
            shards={shard["shard_id"]: shard["points_count"] for shard in local},
            several_nodes=node.several or bool(remote),
            custom_sharding=params.get("sharding_method") == "custom"
            or any("shard_key" in shard for shard in local),
            unsettled=bool(info.get("shard_transfers") or info.get("resharding_operations"))
            or any(shard["state"] != "Active" for shard in local),
        )

    def copy(
        self,
        source: str,
        target: str,
        config: CollectionConfig,
        *,
        sleep: Callable[[float], None],
        check: Callable[[], None] = lambda: None,
        out_of: NativeLane | None = None,
    ) -> Copied:
        """Makes `target` with `config`, which has to be the source's, and fills it with its points.

        `out_of` is the server that has `source`, if that is another one: of the same version, and
        spoken to with a key that may write, which this server is given to pull with. `target` is a
        name that no attempt has used. `check` is called before every write, also in
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
        theirs = self if out_of is None else out_of
        layout = theirs.layout(source)
        check()
        self.server.create(target, config)
        made = self.layout(target)
        shards = layout.shards
        if not layout.plain or made.several_nodes or shards.keys() != made.shards.keys():
            raise Conflict(
                f"{self.server.where} has other shards for {target} than for {source}, or shards "
                "are being moved; use ",
                Option("lane", "stream"),
                ".",
            )
        with (
            Link.open(self.server, patient=True) as link,
            Link.open(theirs.server, patient=True) as reading,
        ):
            copy = _Copy(link, reading, source, target, sleep, check, apart=out_of is not None)
            first, *rest = sorted(shards)
            # The first one tells whether the server can pull. It streams a shard with one core.
            copy.shard(first, shards[first])
            with ThreadPoolExecutor(_SHARDS_AT_ONCE) as pool:
                for done in [pool.submit(copy.shard, shard, shards[shard]) for shard in rest]:
                    done.result()
            check()
            self.server.take_back_limits(target, config)
            _write_nothing(link, target)
        return Copied(len(shards), copy.how, copy.reason)

    def remove(self, collection: str) -> None:
        """Deletes what an attempt left behind, whatever its state; nothing happens without any.

        A server that still fills it lets that end first, for up to ten minutes.
        """
        with Link.open(self.server, patient=True) as link:
            try:
                link.ask("DELETE", path_of(collection), timeout=_DELETE_SECONDS)
            except NotFound:
                return


def _write_nothing(link: Link, collection: str) -> None:
    """Deletes no point. Of a shard that was recovered the server tells the number of its next write
    as that of its last (1.18.3, measured), so that nobody would see the first real one by it."""
    nothing: dict[str, Any] = {"filter": {"must": [{"has_id": []}]}}
    link.ask("POST", f"{path_of(collection)}/points/delete", params={"wait": "true"}, json=nothing)


class _Copy:
    """`reading` is the source's side; `apart`: it is another server."""

    def __init__(
        self,
        link: Link,
        reading: Link,
        source: str,
        target: str,
        sleep: Callable[[float], None],
        check: Callable[[], None],
        *,
        apart: bool,
    ) -> None:
        self.link = link
        self.reading = reading
        self.apart = apart
        self.source = source
        self.target = target
        self.sleep = sleep
        self.check = check
        self.how: How = "pulled"
        self.reason: str | None = None

    def shard(self, shard: int, points: int) -> None:
        """Every refusal may be one of pulling only: the source's own is told by the relay too."""
        self.check()
        if self.how == "pulled":
            try:
                theirs = self.reading.segments(self.source, shard) if self.apart else None
                self._fill(self._pull, shard, points)
                if theirs is not None:
                    self._refuse_others(shard, theirs)
                return
            except (StoreUnavailable, StorageFailed, NotFound):
                raise
            except WorkError as error:
                self.how, self.reason = "relayed", error.message
            self.check()
        self._fill(self._relay, shard, points)

    def _fill(self, fill: Callable[[int], None], shard: int, points: int) -> None:
        started = self.link.started()
        try:
            fill(shard)
        except AnswerLost as lost:
            self._wait_until_filled(shard, points, started, lost.error)

    def _refuse_others(self, shard: int, segments: set[str]) -> None:
        """Raises WorkError where the server has not pulled the shard that has these segments."""
        if not segments & self.link.segments(self.target, shard):
            raise WorkError(
                f"What {self.link.where} has read at {self.reading.url} is not the shard that is "
                "there for us: from there, another server may have that address."
            )

    def _pull(self, shard: int) -> None:
        body = {
            "location": f"{self.reading.url}{path_of(self.source)}/shards/{shard}/snapshot",
            "priority": "snapshot",
            "api_key": self.reading.key,
        }
        path = f"{path_of(self.target)}/shards/{shard}/snapshots/recover"
        self.link.call("PUT", path, json=body, params={"wait": "true"}, timeout=None)

    def _relay(self, shard: int) -> None:
        upload = f"{path_of(self.target)}/shards/{shard}/snapshots/upload"
        params = {"wait": "true", "priority": "snapshot"}
        with self._snapshot(shard) as answer:
            body = _Body(answer, self.reading.where)
            files = {"snapshot": ("shard.snapshot", body, "application/octet-stream")}
            try:
                self.link.call("POST", upload, files=files, params=params, timeout=None)
            except AnswerLost as lost:
                if body.ended:
                    raise
                raise lost.error from lost

    @contextmanager
    def _snapshot(self, shard: int) -> Iterator[httpx.Response]:
        # It would be packed for us, at the cost of the server's processors (measured, 1.18).
        plain = {"Accept-Encoding": "identity"}
        path = f"{self.reading.url}{path_of(self.source)}/shards/{shard}/snapshot"
        patience, http = httpx.Timeout(_STREAM_SECONDS), self.reading.http
        with translated(self.reading.where):
            try:
                request = http.build_request("GET", path, headers=plain, timeout=patience)
                answer = http.send(request, stream=True)
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
                shards = self.link.get(f"{path_of(self.target)}/cluster")["local_shards"]
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
