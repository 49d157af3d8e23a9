"""A Qdrant server: points over gRPC where it can be reached, everything else over REST."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from operator import itemgetter
from typing import Any

from ..errors import NotFound, StoreUnavailable, WorkError
from .channel import Channel, TooLarge
from .encoded import EncodedPage, EncodedPoint, decoded, split_page, split_points
from .ids import canonical_id, id_order
from .limits import Limits
from .models import (
    create_body,
    index_params,
    plain_point,
    refuse_no_numbers,
    reported_config,
    reported_keys,
    unreadable_key,
)
from .native import NativeLane
from .point import CollectionConfig, Page, Point, PointId, ShardKey
from .port import Attempt, once
from .requests import batches, encoded_json, in_requests, upsert_bodies
from .rest import Rest
from .slices import shard_keys
from .transport import Transport

# Half of what Qdrant takes by default (`service.max_request_size_mb: 32`): proxies often take less.
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_MAX_IDS = 10_000

_SHARDS_IN_TELEMETRY = 3
_SAMPLED_PER_PART = 16


class ServerStore:
    """Safe for threads."""

    embedded = False

    def __init__(self, rest: Rest, channel: Channel) -> None:
        self.rest = rest
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

    def version(self) -> str:
        return self.rest.version()

    def identity(self) -> str:
        """Of the process that answers, whatever stands before it; by its address for a key that may
        not ask for it."""
        try:
            return f"server {self.rest.get('/telemetry')['id']}"
        except StoreUnavailable:
            raise
        except WorkError:
            return f"server {self.address()[0]}"

    @property
    def where(self) -> str:
        """The server at the start of a sentence, without anything secret."""
        return self.rest.where

    def address(self) -> tuple[str, str | None]:
        """The URL of the REST interface, port included, and the API key."""
        return self.rest.address()

    def exists(self, collection: str) -> bool:
        return bool(self.rest.ask("GET", "/exists", collection)["exists"])

    def resolve(self, name: str) -> str:
        """A key for one collection may not see the aliases; then the name is taken as it is."""
        try:
            known = self.rest.get("/aliases")["aliases"]
        except StoreUnavailable:
            raise
        except WorkError:
            return name
        return next((one["collection_name"] for one in known if one["alias_name"] == name), name)

    def collections(self) -> list[str]:
        found = self.rest.get("/collections")["collections"]
        return sorted(one["name"] for one in found)

    def aliases(self, collection: str) -> list[str]:
        known = self.rest.ask("GET", "/aliases", collection)["aliases"]
        return sorted(one["alias_name"] for one in known)

    def move_alias(self, alias: str, collection: str, stale: Sequence[str] = ()) -> None:
        known = {
            one["alias_name"]: one["collection_name"]
            for one in self.rest.get("/aliases")["aliases"]
        }
        gone = [one for one in (alias, *stale) if one in known]
        if gone == [alias] and known[alias] == collection:
            return
        actions: list[dict[str, Any]] = [{"delete_alias": {"alias_name": one}} for one in gone]
        actions.append({"create_alias": {"alias_name": alias, "collection_name": collection}})
        self.rest.ask("POST", "", "aliases", encoded_json({"actions": actions}))

    def read_config(self, collection: str) -> CollectionConfig:
        config = reported_config(self.rest.ask("GET", "", collection))
        if config.get("sharding_method") == "custom":
            cluster = self.rest.ask("GET", "/cluster", collection)
            if (key := unreadable_key(cluster)) is not None:
                raise StoreUnavailable(
                    f"{self.where}: the shard key {key!r} of {collection} cannot be read now, "
                    "because its shards are not active; try again when they are."
                )
            config["shard_keys"] = reported_keys(cluster)
        return config

    def kept_config(self, config: CollectionConfig) -> CollectionConfig:
        if config.get("sharding_method") != "custom":
            return config
        keys = config.get("shard_keys", []) if self.keeps_shard_keys() else []
        return config | {"shard_keys": keys}

    def within(self, shard_key: ShardKey) -> ServerStore:
        store = copy(self)
        store._key = shard_key
        return store

    def keeps_shard_keys(self) -> bool:
        """It does as part of a cluster, be it the only one in it."""
        return bool(self.rest.get("/cluster")["status"] == "enabled")

    def set_shard_keys(self, collection: str, entries: Sequence[Mapping[str, Any]]) -> None:
        wanted = {entry["shard_key"] for entry in entries}
        known = reported_keys(self.rest.ask("GET", "/cluster", collection))
        there = {entry["shard_key"] for entry in known}
        for entry in entries:
            if entry["shard_key"] not in there:
                self.rest.ask("PUT", "/shards", collection, encoded_json(entry))
        for key in there - wanted:
            body = encoded_json({"shard_key": key})
            self.rest.ask("POST", "/shards/delete", collection, body)

    def create(
        self, collection: str, config: CollectionConfig, *, for_loading: bool = False
    ) -> None:
        self.delete(collection)
        body = create_body(config)
        if for_loading:
            optimizers = body.get("optimizers_config") or {}
            body["optimizers_config"] = optimizers | {"max_optimization_threads": 0}
        self.rest.ask("PUT", "", collection, encoded_json(body))
        if keys := self.kept_config(config).get("shard_keys"):
            self.set_shard_keys(collection, keys)
        for field, schema in (config.get("payload_schema") or {}).items():
            self.create_index(collection, field, schema)
        left = self.count(collection)
        if left:
            raise WorkError(f"{self.where}: the new collection {collection} holds {left} points.")

    def finish_loading(self, collection: str, config: CollectionConfig) -> None:
        threads = (config.get("optimizers_config") or {}).get("max_optimization_threads")
        wanted = {"max_optimization_threads": "auto" if threads is None else threads}
        self.rest.ask("PATCH", "", collection, encoded_json({"optimizers_config": wanted}))

    def create_index(self, collection: str, field: str, schema: Any) -> None:
        body = {"field_name": field, "field_schema": index_params(schema)}
        self.rest.ask("PUT", "/index", collection, encoded_json(body), wait=True)

    def delete(self, collection: str) -> None:
        self._limits.pop(collection, None)
        try:
            self.rest.ask("DELETE", "", collection)
        except NotFound:
            return

    def count(self, collection: str) -> int:
        limits = self._limits_of(collection)
        if not limits.exact_count:
            return self._count_ids(collection, limits.scroll or _MAX_IDS)
        body = self._body({"exact": True})
        return int(self.rest.ask("POST", "/points/count", collection, body)["count"])

    def _count_ids(self, collection: str, page: int) -> int:
        """By reading them: a count that is not exact may be far off."""
        if self._key is None and (keys := shard_keys(self.read_config(collection))) is not None:
            # Read together, an id that several keys have would be one point.
            return sum(self.within(key)._count_ids(collection, page) for key in keys)
        counted = 0
        body = {"limit": page, "offset": None, "with_payload": False, "with_vector": False}
        while True:
            result = self.rest.ask("POST", "/points/scroll", collection, self._body(body))
            counted += len(result["points"])
            body["offset"] = result.get("next_page_offset")
            if body["offset"] is None:
                return counted

    def last_write(self, collection: str) -> str | None:
        """The number of the last operation of each shard, from the telemetry of v1.17 and later.

        None where some shards are on other nodes, where writes are waiting to be applied, and
        where this key may not see it.
        """
        try:
            known = self.rest.get("/telemetry", {"details_level": _SHARDS_IN_TELEMETRY})
            told = next(
                one for one in known["collections"]["collections"] if one["id"] == collection
            )
            shards = sorted(told["shards"], key=itemgetter("id"))
            queues = [shard["local"]["update_queue"] for shard in shards]
            if any(queue["length"] for queue in queues):
                return None
            return json.dumps(list(map(_written, shards, queues)))
        except (LookupError, TypeError, StopIteration, WorkError):
            return None

    def split(self, collection: str, parts: int) -> list[PointId]:
        """By a random sample of the ids."""
        if parts < 2:
            return []
        most = self._limits_of(collection).scroll
        wanted = min(parts * _SAMPLED_PER_PART, most or _MAX_IDS)
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
            answer = attempt(partial(self._channel.scroll, collection, limit, offset, self._key))
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
        result = self.rest.ask("POST", "/points/scroll", collection, self._body(body))
        following = result.get("next_page_offset")
        return Page(
            [_point(item) for item in result["points"]],
            None if following is None else canonical_id(following),
        )

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        """In the order of `ids`; ids that are not there are left out."""
        wanted = [canonical_id(one) for one in ids]
        found = self._retrieve(collection, wanted)
        return [found[one] for one in wanted if one in found]

    def _retrieve(self, collection: str, ids: Sequence[PointId]) -> dict[PointId, Point]:
        if self._transport.why_rest():
            return self._retrieve_json(collection, ids)
        found: dict[PointId, Point] = {}
        for some in batches(ids, self._limits_of(collection).retrieve or _MAX_IDS):
            try:
                results = split_points(self._channel.retrieve(collection, some, self._key))
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
        for some in batches(ids, self._limits_of(collection).retrieve or _MAX_IDS):
            body = self._body({"ids": some, "with_payload": True, "with_vector": vectors})
            for item in self.rest.ask("POST", "/points", collection, body):
                point = _point(item)
                found[point.id] = point
        return found

    def upsert(self, collection: str, points: Sequence[Point], attempt: Attempt = once) -> None:
        most = attempt(partial(self._limits_of, collection)).upsert
        for body in upsert_bodies(points, _MAX_REQUEST_BYTES, most, self._key):
            attempt(partial(self.rest.ask, "PUT", "/points", collection, body, wait=True))

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> None:
        most = self._limits_of(collection).delete or _MAX_IDS
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
            self._limits[collection] = Limits.of(config.get("strict_mode_config"))
        return self._limits[collection]


def _written(shard: dict[str, Any], queue: dict[str, Any]) -> list[Any]:
    """The number of a shard's last operation. With the shard key: when one is taken away, the next
    that is made may get its shard's number."""
    key = shard.get("key")
    return [shard["id"], queue["op_num"], *([] if key is None else [key])]


def _point(item: dict[str, Any]) -> Point:
    """Raises InvalidRequest for a vector that JSON cannot hold: what is none of its numbers comes
    as null."""
    point = plain_point(item["id"], item.get("vector"), item.get("payload"))
    refuse_no_numbers(point)
    return point
