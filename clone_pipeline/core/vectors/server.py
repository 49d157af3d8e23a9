"""A Qdrant server: points over gRPC where it can be reached, everything else over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar

from .channel import Channel, TooLarge
from .encoded import EncodedPage, EncodedPoint, decoded, split_page, split_points
from .hidden import refuse_hidden
from .ids import canonical_id, id_order
from .limits import MAX_IDS, MOST_COUNTED_AT_ONCE, Limits
from .models import plain_point, refuse_no_numbers
from .native import NativeLane
from .point import Filter, Page, Point, PointId, ShardKey
from .port import Attempt, once
from .requests import batches, encoded_json, in_requests, upsert_bodies
from .rest import Rest
from .server_collections import ServerCollections
from .slices import shard_keys
from .transport import Transport

# Half of what Qdrant takes by default (`service.max_request_size_mb: 32`): proxies often take less.
_MAX_REQUEST_BYTES = 16 * 1024 * 1024

_SAMPLED_PER_PART = 16

T = TypeVar("T")


class ServerStore(ServerCollections):
    """Safe for threads."""

    embedded = False

    def __init__(self, rest: Rest, channel: Channel) -> None:
        super().__init__(rest)
        self._limits: dict[str, Limits] = {}
        self._channel = channel
        self._transport = Transport(rest, channel)
        self._key: ShardKey | None = None

    @classmethod
    def open(
        cls,
        url: str,
        api_key: str | None = None,
        timeout_seconds: int = 60,
        grpc_port: int | None = None,
    ) -> ServerStore:
        """The server at `url`, which is not spoken to yet. Raises InvalidRequest for no URL.

        A write that is not answered within `timeout_seconds` may have been done all the same.
        `grpc_port`: None is the one after the port of the URL, as Qdrant has it.
        """
        rest = Rest.open(url, api_key, timeout_seconds)
        channel = Channel(
            rest.grpc_address(grpc_port),
            tls=rest.tls,
            api_key=api_key,
            where=rest.where,
            timeout_seconds=timeout_seconds,
        )
        return cls(rest, channel)

    def close(self) -> None:
        self._channel.close()
        self.rest.close()

    @property
    def transport(self) -> str:
        why = self._transport.why_rest()
        return f"REST, because {why}" if why else "gRPC"

    @property
    def native(self) -> NativeLane:
        return NativeLane(self)

    def within(self, shard_key: ShardKey) -> ServerStore:
        store = copy(self)
        store._key = shard_key
        return store

    def delete(self, collection: str) -> None:
        self._limits.pop(collection, None)
        super().delete(collection)

    def refuse_hidden(self, collection: str) -> None:
        self._limits.pop(collection, None)  # it may be configured otherwise by now
        self._refuse_hidden(collection, self.hidden_in_segments(self.resolve(collection)))

    def count(self, collection: str, where: Filter | None = None) -> int:
        """Of all points, or of those that a filter fits. Raises WorkError where strict mode forbids
        the filter."""
        chosen = {} if where is None else {"filter": where}
        limits = self._limits_of(collection)
        if limits.exact_count and self._counted(collection, exact=False) <= MOST_COUNTED_AT_ONCE:
            return self._counted(collection, exact=True, **chosen)
        return self._count_ids(collection, {"limit": limits.scroll or MAX_IDS, **chosen})

    def _counted(self, collection: str, **request: Any) -> int:
        count = partial(self.rest.ask, "POST", "/points/count", collection, self._body(request))
        return int(self._whole(collection, count)["count"])

    def _count_ids(self, collection: str, page: dict[str, Any]) -> int:
        """By reading them: a count that is not exact may be far off."""
        if self._key is None and (keys := shard_keys(self.read_config(collection))) is not None:
            # Read together, an id that several keys have would be one point.
            return sum(self.within(key)._count_ids(collection, page) for key in keys)
        counted = 0
        body = {**page, "offset": None, "with_payload": False, "with_vector": False}
        while True:
            result = self._scroll(collection, body)
            counted += len(result["points"])
            body["offset"] = result.get("next_page_offset")
            if body["offset"] is None:
                return counted

    def split(self, collection: str, parts: int) -> list[PointId]:
        """By a random sample of the ids."""
        if parts < 2:
            return []
        most = self._limits_of(collection).scroll
        wanted = min(parts * _SAMPLED_PER_PART, most or MAX_IDS)
        body = {"query": {"sample": "random"}, "limit": wanted, "with_payload": False}
        found = self.rest.ask("POST", "/points/query", collection, self._body(body))["points"]
        ids = sorted({canonical_id(item["id"]) for item in found}, key=id_order)
        firsts = [ids[len(ids) * part // parts] for part in range(1, parts)] if ids else []
        return list(dict.fromkeys(firsts))

    def read(
        self,
        collection: str,
        limit: int,
        offset: PointId | None = None,
        attempt: Attempt = once,
    ) -> EncodedPage:
        if attempt(self._transport.why_rest):
            return self._read_json(collection, limit, offset, attempt)
        most = attempt(partial(self._limits_of, collection)).scroll
        limit = limit if most is None else min(limit, most)
        try:
            page = partial(self._channel.scroll, collection, limit, offset, self._key)
            answer = attempt(partial(self._whole, collection, page))
        except TooLarge:
            if limit == 1:
                return self._read_json(collection, 1, offset, attempt)
            return self.read(collection, max(1, limit // 8), offset, attempt)
        results, following = split_page(answer)
        points = self._decoded(collection, results, attempt)
        return EncodedPage(points, len(results), following, len(answer))

    def _decoded(
        self, collection: str, results: Sequence[bytes], attempt: Attempt
    ) -> Iterator[EncodedPoint]:
        """The points of a page. A payload that cannot travel over gRPC is read as JSON; vectors
        never are, for JSON has no NaN."""

        def payloads(ids: Sequence[PointId]) -> dict[PointId, Point]:
            return attempt(partial(self._retrieve_json, collection, ids, vectors=False))

        return decoded(results, payloads)

    def _read_json(
        self, collection: str, limit: int, offset: PointId | None, attempt: Attempt
    ) -> EncodedPage:
        page = attempt(partial(self.scroll, collection, limit, offset))
        return EncodedPage(map(EncodedPoint.of, page.points), len(page.points), page.next)

    def write(
        self, collection: str, points: Sequence[EncodedPoint], attempt: Attempt = once
    ) -> None:
        if attempt(self._transport.why_rest):
            self.upsert(collection, [point.plain() for point in points], attempt)
            return
        most = attempt(partial(self._limits_of, collection)).upsert
        encoded = (point.encoded for point in points if not point.only_json)
        for some in in_requests(encoded, _MAX_REQUEST_BYTES, most):
            attempt(partial(self._channel.upsert, collection, some, self._key))
        if rest := [point.plain() for point in points if point.only_json]:
            self.upsert(collection, rest, attempt)

    def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
        """May give fewer points than `limit` where strict mode says so."""
        most = self._limits_of(collection).scroll
        body = {
            "limit": limit if most is None else min(limit, most),
            "offset": offset,
            "with_payload": True,
            "with_vector": True,
        }
        result = self._scroll(collection, body)
        following = result.get("next_page_offset")
        return Page(
            [_point(item) for item in result["points"]],
            None if following is None else canonical_id(following),
        )

    def _scroll(self, collection: str, request: dict[str, Any]) -> Any:
        body = self._body(request)
        scroll = partial(self.rest.ask, "POST", "/points/scroll", collection, body)
        return self._whole(collection, scroll)

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        """In the order of `ids`; ids that are not there are left out."""
        wanted = [canonical_id(one) for one in ids]
        found = self._retrieve(collection, wanted)
        return [found[one] for one in wanted if one in found]

    def _retrieve(self, collection: str, ids: Sequence[PointId]) -> dict[PointId, Point]:
        if self._transport.why_rest():
            return self._retrieve_json(collection, ids)
        found: dict[PointId, Point] = {}
        for some in batches(ids, self._limits_of(collection).retrieve or MAX_IDS):
            try:
                some_points = partial(self._channel.retrieve, collection, some, self._key)
                results = split_points(self._whole(collection, some_points))
            except TooLarge:
                found |= self._retrieve_json(collection, some)
                continue
            points = self._decoded(collection, results, once)
            found |= {point.id: point.plain() for point in points}
        return found

    def _retrieve_json(
        self, collection: str, ids: Sequence[PointId], *, vectors: bool = True
    ) -> dict[PointId, Point]:
        found: dict[PointId, Point] = {}
        for some in batches(ids, self._limits_of(collection).retrieve or MAX_IDS):
            body = self._body({"ids": some, "with_payload": True, "with_vector": vectors})
            some_points = partial(self.rest.ask, "POST", "/points", collection, body)
            for item in self._whole(collection, some_points):
                point = _point(item)
                found[point.id] = point
        return found

    def upsert(self, collection: str, points: Sequence[Point], attempt: Attempt = once) -> None:
        most = attempt(partial(self._limits_of, collection)).upsert
        for body in upsert_bodies(points, _MAX_REQUEST_BYTES, most, self._key):
            attempt(partial(self.rest.ask, "PUT", "/points", collection, body, wait=True))

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> None:
        most = self._limits_of(collection).delete or MAX_IDS
        for some in batches((canonical_id(one) for one in ids), most):
            body = self._body({"points": some})
            self.rest.ask("POST", "/points/delete", collection, body, wait=True)

    def search(
        self,
        collection: str,
        vector_name: str,
        vector: Sequence[float],
        limit: int,
        any_of: Mapping[str, Sequence[str]],
    ) -> list[tuple[Point, float]]:
        body = {
            "query": list(vector),
            "using": vector_name or None,
            "filter": {
                "must": [
                    {"key": field, "match": {"any": list(values)}}
                    for field, values in any_of.items()
                ]
            },
            "limit": limit,
            "with_payload": True,
        }
        found = self.rest.ask("POST", "/points/query", collection, self._body(body))
        return [(_point(item), float(item["score"])) for item in found["points"]]

    def _body(self, request: dict[str, Any]) -> bytes:
        """Of a request for points: those of the shard key, where this is the store of one."""
        return encoded_json(request if self._key is None else {**request, "shard_key": self._key})

    def _limits_of(self, collection: str) -> Limits:
        if collection not in self._limits:
            config = self.rest.ask("GET", "", collection)["config"]
            self._limits[collection] = Limits.of(config)
        return self._limits[collection]

    def _whole(self, collection: str, read: Callable[[], T]) -> T:
        """What is read while the server hides no point. Raises StoreUnavailable where it does."""
        if not self._limits_of(collection).hides:
            return read()
        self._refuse_hidden(collection)
        found = read()
        self._refuse_hidden(collection)
        return found

    def _refuse_hidden(self, collection: str, in_segments: int = 0) -> None:
        told = self.rest.ask("GET", "", collection)
        refuse_hidden(self.where, collection, told, in_segments)


def _point(item: dict[str, Any]) -> Point:
    """Raises InvalidRequest for a vector that JSON cannot hold: what is none of its numbers comes
    as null."""
    point = plain_point(item["id"], item.get("vector"), item.get("payload"))
    refuse_no_numbers(point)
    return point
