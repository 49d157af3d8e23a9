"""qdrant.json: what a collection's configuration must look like, and which vectors it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..vectors.models import index_params
from ..vectors.point import CollectionConfig, ShardKey
from .files import Wrong

EMPTY: CollectionConfig = {"vectors": {}, "sparse_vectors": {}, "payload_schema": {}}

_DISTANCES = ("Cosine", "Euclid", "Dot", "Manhattan")
_INDEX_TYPES = ("keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid")
# Qdrant 1.18 has the first four, its client 1.20 all.
_DATATYPES = ("float32", "float16", "uint8", "turbo4", "turbo8", "turbo16")
_MAX_SIZE = 65536
# Settings that we know the type of; others go to the store as they are.
_OBJECTS = (
    *("hnsw_config", "quantization_config", "optimizers_config", "wal_config"),
    *("strict_mode_config", "metadata"),
)
_COUNTS = ("shard_number", "replication_factor", "write_consistency_factor")


@dataclass(frozen=True)
class Dense:
    """What a dense vector, or a row of a multivector, has to be like."""

    size: int
    distance: str
    datatype: str


@dataclass(frozen=True)
class VectorShapes:
    """The vectors that a point may have: the dense ones, the multivectors, and the names of the
    sparse ones. With custom sharding, one of `shard_keys` is its own."""

    dense: Mapping[str, Dense]
    multi: Mapping[str, Dense]
    sparse: frozenset[str]
    shard_keys: frozenset[ShardKey] | None = None

    @property
    def names(self) -> list[str]:
        return sorted([*self.dense, *self.multi, *self.sparse])


def named_vectors(config: CollectionConfig) -> CollectionConfig:
    """The configuration with Qdrant's short form of a single unnamed vector under its name ""."""
    vectors = config.get("vectors")
    if isinstance(vectors, dict) and "size" in vectors and not isinstance(vectors["size"], dict):
        return {**config, "vectors": {"": vectors}}
    return config


def check_config(config: CollectionConfig) -> VectorShapes:
    """The vectors that a configuration names. Raises Wrong on the first mistake in it."""
    dense: dict[str, Dense] = {}
    multi: dict[str, Dense] = {}
    for name, params in _objects(config, "vectors").items():
        shape = _check_vector(f"vectors[{name!r}]", params)
        (multi if params.get("multivector_config") else dense)[name] = shape
    sparse = frozenset(_objects(config, "sparse_vectors", null_items=True))
    both = sorted(sparse & {*dense, *multi})
    if both:
        raise Wrong(f"the vector name {both[0]!r} stands under `vectors` and `sparse_vectors`")
    _check_payload_schema(config)
    _check_settings(config)
    return VectorShapes(dense, multi, sparse, _check_shard_keys(config))


def _objects(config: CollectionConfig, key: str, *, null_items: bool = False) -> dict[str, Any]:
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong(f"`{key}` is not an object")
    for name, item in value.items():
        if "\0" in name:
            raise Wrong(f"{key}[{name!r}]: a name cannot hold the character NUL")
        if not isinstance(item, dict) and not (null_items and item is None):
            raise Wrong(f"{key}[{name!r}] is not an object")
    return value


def _check_vector(where: str, params: dict[str, Any]) -> Dense:
    size = params.get("size")
    if type(size) is not int or not 1 <= size <= _MAX_SIZE:
        raise Wrong(f"{where}: `size` is not a whole number from 1 to {_MAX_SIZE}")
    if params.get("distance") not in _DISTANCES:
        raise Wrong(f"{where}: `distance` is none of {', '.join(_DISTANCES)}")
    multi = params.get("multivector_config")
    if multi is not None and multi != {"comparator": "max_sim"}:
        raise Wrong(f'{where}: `multivector_config` is not {{"comparator": "max_sim"}}')
    datatype = params.get("datatype")
    if datatype not in (None, *_DATATYPES):
        raise Wrong(f"{where}: `datatype` is none of {', '.join(_DATATYPES)}")
    return Dense(size, params["distance"], datatype or "float32")


def _check_payload_schema(config: CollectionConfig) -> None:
    schema = config.get("payload_schema")
    if schema is None:
        return
    if not isinstance(schema, dict):
        raise Wrong("`payload_schema` is not an object")
    for field, index in schema.items():
        where = f"payload_schema[{field!r}]"
        if not isinstance(index, dict | str):
            raise Wrong(f"{where} is not an object")
        if isinstance(index, dict) and not isinstance(index.get("params"), dict | None):
            raise Wrong(f"{where}: `params` is not an object")
        # `data_type` is how Qdrant reports the type, `type` how it takes it.
        if index_params(index).get("type") not in _INDEX_TYPES:
            raise Wrong(f"{where}: `data_type` is none of {', '.join(_INDEX_TYPES)}")


def _check_settings(config: CollectionConfig) -> None:
    for key in _OBJECTS:
        if not isinstance(config.get(key), dict | None):
            raise Wrong(f"`{key}` is not an object")
    for key in _COUNTS:
        value = config.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise Wrong(f"`{key}` is not a whole number of at least 1")
    if not isinstance(config.get("on_disk_payload"), bool | None):
        raise Wrong("`on_disk_payload` is not true or false")


def _check_shard_keys(config: CollectionConfig) -> frozenset[ShardKey] | None:
    method, entries = config.get("sharding_method"), config.get("shard_keys")
    if method not in (None, "auto", "custom"):
        raise Wrong("`sharding_method` is neither auto nor custom")
    if method != "custom":
        if entries:
            raise Wrong("`shard_keys` is there, and `sharding_method` is not custom")
        return None
    if not isinstance(entries, list | None):
        raise Wrong("`shard_keys` is not a list")
    keys = [_check_shard_key(f"shard_keys[{n}]", entry) for n, entry in enumerate(entries or ())]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Wrong(f"the shard key {twice!r} stands twice in `shard_keys`")
    return frozenset(keys)


def _check_shard_key(where: str, entry: Any) -> ShardKey:
    if not isinstance(entry, dict) or not is_shard_key(entry.get("shard_key")):
        raise Wrong(f"{where} has no `shard_key` that is text or an unsigned 64-bit integer")
    shards = entry.get("shards_number")
    if shards is not None and (type(shards) is not int or shards < 1):
        raise Wrong(f"{where}: `shards_number` is not a whole number of at least 1")
    key: ShardKey = entry["shard_key"]
    return key


def is_shard_key(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and 0 <= value < 2**64)
