"""A Qdrant server's gRPC interface: as much of it as points need, at the level of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from qdrant_client.grpc import (
    GetPoints,
    HealthCheckReply,
    HealthCheckRequest,
    ScrollPoints,
    ShardKeySelector,
    UpsertPoints,
    WithPayloadSelector,
    WithVectorsSelector,
)
from qdrant_client.grpc import (
    PointId as QdrantPointId,
)
from qdrant_client.grpc import (
    ShardKey as QdrantShardKey,
)

from ..errors import WorkError
from .faults import translated
from .point import PointId, ShardKey
from .values import varint

_POINT = b"\x1a"  # the tag of a point in `UpsertPoints`
_MAX_RECEIVED = 64 * 1024 * 1024

_OPTIONS = [
    # A client that says that it understands gzip is sent gzip, which costs the server ten times as
    # much as everything else it does for a page (measured, 1.18; Python's says so by itself).
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.max_receive_message_length", _MAX_RECEIVED),
    ("grpc.max_send_message_length", -1),
    # Pages of megabytes: less waiting for the window to open.
    ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    # A server that is back is seen soon, not after as long again as it was away: the waits between
    # attempts are ours.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Two stores may talk to one address with two keys.
    ("grpc.use_local_subchannel_pool", 1),
]


class TooLarge(WorkError):
    """An answer is larger than is read at once; ask for fewer points."""


class Channel:
    """Safe for threads, not for forked processes."""

    def __init__(
        self, address: str, *, tls: bool, api_key: str | None, where: str, timeout_seconds: int
    ) -> None:
        self.address = address
        self._where = where
        self._timeout = timeout_seconds
        self._metadata = () if api_key is None else (("api-key", api_key),)
        self._channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), _OPTIONS)
            if tls
            else grpc.insecure_channel(address, _OPTIONS)
        )
        self._health_check = self._channel.unary_unary(
            "/qdrant.Qdrant/HealthCheck",
            HealthCheckRequest.SerializeToString,
            HealthCheckReply.FromString,
        )
        self._scroll = self._channel.unary_unary(
            "/qdrant.Points/Scroll", ScrollPoints.SerializeToString
        )
        self._get = self._channel.unary_unary("/qdrant.Points/Get", GetPoints.SerializeToString)
        self._upsert = self._channel.unary_unary("/qdrant.Points/Upsert")

    def close(self) -> None:
        self._channel.close()

    def version(self, timeout_seconds: float) -> str | None:
        """The server's version; None where nothing answers that is a Qdrant."""
        try:
            reply = self._health_check(
                HealthCheckRequest(), timeout=timeout_seconds, metadata=self._metadata
            )
        except grpc.RpcError:
            return None
        return str(reply.version)

    def scroll(
        self, collection: str, limit: int, offset: PointId | None, key: ShardKey | None = None
    ) -> bytes:
        """A `ScrollResponse` that starts at `offset`; here and below, `key` is the shard key.

        Raises TooLarge, and StoreUnavailable, NotFound or WorkError as every store does.
        """
        request = ScrollPoints(
            collection_name=collection,
            limit=limit,
            offset=None if offset is None else _point_id(offset),
            with_payload=WithPayloadSelector(enable=True),
            with_vectors=WithVectorsSelector(enable=True),
            shard_key_selector=_selector(key),
        )
        return self._ask(self._scroll, request, f"{limit} points of {collection}")

    def retrieve(
        self, collection: str, ids: Sequence[PointId], key: ShardKey | None = None
    ) -> bytes:
        """A `GetResponse`; raises as `scroll` does."""
        request = GetPoints(
            collection_name=collection,
            ids=[_point_id(one) for one in ids],
            with_payload=WithPayloadSelector(enable=True),
            with_vectors=WithVectorsSelector(enable=True),
            shard_key_selector=_selector(key),
        )
        return self._ask(self._get, request, f"{len(ids)} points of {collection}")

    def _ask(self, call: Callable[..., bytes], request: Any, what: str) -> bytes:
        with translated(self._where):
            try:
                return call(request, timeout=self._timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                if "message larger than max" in (error.details() or ""):
                    raise TooLarge(
                        f"{self._where} sent more than {_MAX_RECEIVED} bytes for {what}."
                    ) from error
                raise

    def upsert(self, collection: str, points: Sequence[bytes], key: ShardKey | None = None) -> None:
        """Writes `PointStruct`s; they are durable when it returns."""
        selected = _selector(key)
        head = UpsertPoints(collection_name=collection, wait=True, shard_key_selector=selected)
        # Put together here, because a message would hold it all once more.
        parts = [head.SerializeToString()]
        for point in points:
            parts += (_POINT, varint(len(point)), point)
        request = b"".join(parts)
        with translated(self._where):
            self._upsert(request, timeout=self._timeout, metadata=self._metadata)


def _point_id(point_id: PointId) -> QdrantPointId:
    if isinstance(point_id, int):
        return QdrantPointId(num=point_id)
    return QdrantPointId(uuid=point_id)


def _selector(key: ShardKey | None) -> ShardKeySelector | None:
    if key is None:
        return None
    one = QdrantShardKey(keyword=key) if isinstance(key, str) else QdrantShardKey(number=key)
    return ShardKeySelector(shard_keys=[one])
