"""A Qdrant server's collections: their names, how they are made, and when they were written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any

from ..errors import NotFound, StoreUnavailable, WorkError
from .hidden import loaded, shown
from .limits import while_loading
from .models import (
    create_body,
    index_params,
    later_params,
    reported_config,
    reported_keys,
    unreadable_key,
)
from .point import CollectionConfig
from .requests import encoded_json
from .rest import Rest

# From these levels of detail on.
_SHARDS_IN_TELEMETRY, _SEGMENTS_IN_TELEMETRY = 3, 4


class ServerCollections:
    """Safe for threads. All over REST."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    def version(self) -> str:
        return self.rest.version()

    def identity(self) -> str:
        """Of the process that answers, whatever stands before it, or of the cluster of several that
        it is a node of; by its address for a key that may not ask for it."""
        for told in (self._cluster, self._process):
            try:
                if (found := told()) is not None:
                    return found
            except StoreUnavailable:
                raise
            except (WorkError, NotFound):
                continue
        return f"server {self.address()[0]}"

    def _cluster(self) -> str | None:
        """By the nodes' numbers and addresses: a copy of a node's disk has the same numbers."""
        peers = self.rest.get("/cluster").get("peers") or {}
        if len(peers) < 2:
            return None
        nodes = sorted(f"{number} {node['uri']}" for number, node in peers.items())
        return f"cluster {' '.join(nodes)}"

    def _process(self) -> str | None:
        return f"server {self.rest.get('/telemetry')['id']}"

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
            optimizers = shown(body.get("optimizers_config") or {})
            body["optimizers_config"] = optimizers | {"max_optimization_threads": 0}
            if strict := body.get("strict_mode_config"):
                body["strict_mode_config"] = while_loading(strict)
        self.rest.ask("PUT", "", collection, encoded_json(body))
        if params := later_params(config):
            self.rest.ask("PATCH", "", collection, encoded_json({"params": params}))
        self.take_back_limits(collection, config)
        if keys := self.kept_config(config).get("shard_keys"):
            self.set_shard_keys(collection, keys)
        for field, schema in (config.get("payload_schema") or {}).items():
            self.create_index(collection, field, schema)
        # Strict mode may forbid to count exactly.
        about = encoded_json({"exact": False})
        if left := self.rest.ask("POST", "/points/count", collection, about)["count"]:
            raise WorkError(f"{self.where}: the new collection {collection} holds {left} points.")

    def take_back_limits(self, collection: str, config: CollectionConfig) -> None:
        """A shard that is new, or was restored, has the rate limits of a strict mode that is off
        all the same, until it is told once more (Qdrant 1.18: `local_shard/mod.rs`)."""
        strict = config.get("strict_mode_config")
        if strict and not strict.get("enabled"):
            again = encoded_json({"strict_mode_config": strict})
            self.rest.ask("PATCH", "", collection, again)

    def finish_loading(self, collection: str, config: CollectionConfig) -> None:
        optimizers = config.get("optimizers_config") or {}
        threads = optimizers.get("max_optimization_threads")
        wanted = {"max_optimization_threads": "auto" if threads is None else threads}
        body = {"optimizers_config": wanted | loaded(optimizers)}
        if (strict := config.get("strict_mode_config")) and while_loading(strict) != strict:
            body["strict_mode_config"] = strict
        self.rest.ask("PATCH", "", collection, encoded_json(body))

    def create_index(self, collection: str, field: str, schema: Any) -> None:
        body = {"field_name": field, "field_schema": index_params(schema)}
        self.rest.ask("PUT", "/index", collection, encoded_json(body), wait=True)

    def delete(self, collection: str) -> None:
        try:
            self.rest.ask("DELETE", "", collection)
        except NotFound:
            return

    def last_write(self, collection: str) -> str | None:
        """The number of the last operation of each shard, from the telemetry of v1.17 and later.

        None where some shards, or replicas of them, are on other nodes, where writes are waiting to
        be applied, and where this key may not see it.
        """
        try:
            shards = self._shards(collection, _SHARDS_IN_TELEMETRY)
            queues = [shard["local"]["update_queue"] for shard in shards]
            if any(queue["length"] or queue["op_num"] is None for queue in queues):
                return None
            return json.dumps(list(map(_written, shards, queues)))
        except _NOT_TOLD:
            return None

    def segments(self, collection: str) -> str | None:
        """Of which segments each shard consists, of how many points these, and since when the shard
        is as the server has loaded, restored or optimized it. None as above."""
        try:
            shards = self._shards(collection, _SEGMENTS_IN_TELEMETRY)
            told = [
                [*sorted(map(_segment, shard["local"]["segments"])), _loaded_at(shard)]
                for shard in shards
            ]
        except _NOT_TOLD:
            return None
        return sha256(json.dumps(told).encode()).hexdigest()

    def hidden_in_segments(self, collection: str) -> int:
        """How many points the segments on this node hide until they are indexed; 0 where that is
        not told."""
        try:
            shards = [one["local"] or {} for one in self._told(collection, _SEGMENTS_IN_TELEMETRY)]
            segments = [one["info"] for shard in shards for one in shard.get("segments") or ()]
        except _NOT_TOLD:
            return 0
        return sum(info.get("num_deferred_points") or 0 for info in segments)

    def _shards(self, collection: str, level: int) -> list[dict[str, Any]]:
        """Those of a collection, with what telemetry tells of them. Raises LookupError where this
        node has not all: a replica of its own that is not active gets no writes."""
        shards = self._told(collection, level)
        if any(shard["remote"] for shard in shards):
            raise LookupError(f"{collection} has shards on other nodes")
        return shards

    def _told(self, collection: str, level: int) -> list[dict[str, Any]]:
        known = self.rest.get("/telemetry", {"details_level": level})["collections"]
        told = next(one for one in known["collections"] if one["id"] == collection)
        return sorted(told["shards"], key=itemgetter("id"))


# What this key may not see, or this server does not say.
_NOT_TOLD = (LookupError, TypeError, StopIteration, WorkError)


def _segment(told: dict[str, Any]) -> list[Any]:
    info = told["info"]
    return [info[name] for name in ("uuid", "num_points", "num_vectors", "num_deleted_vectors")]


def _loaded_at(shard: dict[str, Any]) -> str:
    """When its optimizers were made, or the last of them has ended: later with each restart and
    each snapshot that the shard is put back from (1.18.3, measured)."""
    return str(shard["local"]["optimizations"]["optimizations"]["last_responded"])


def _written(shard: dict[str, Any], queue: dict[str, Any]) -> list[Any]:
    """The number of a shard's last operation. With the shard key: when one is taken away, the next
    that is made may get its shard's number."""
    key = shard.get("key")
    return [shard["id"], queue["op_num"], *([] if key is None else [key])]
