"""Between plain JSON and what Qdrant takes and gives: shared by the embedded store and a server.

Without Qdrant's client, which takes a second to import: bundles are read with this.
"""

from __future__ import annotations

import math
from array import array
from typing import Any

from ..errors import InvalidRequest
from .ids import canonical_id
from .point import CollectionConfig, Point, ShardKey, Vector

# What a request to create a collection takes besides vectors; a server reports some elsewhere.
_PARAMS = (
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
    "payload",
    "id_tracker",
)

# What it has to be told afterwards (Qdrant 1.18: `config_diff.rs`).
_LATER_PARAMS = ("read_fan_out_factor", "read_fan_out_delay_ms")

# States of a replica in which it answers, or needs not (Qdrant 1.18: replica_set_state.rs); while a
# key is given more shards, the new one's points are read from the others.
_READABLE = ("Active", "ActiveRead", "ReshardingScaleDown", "Initializing", "Resharding")


# ---- points ----------------------------------------------------------------------------------


def checked(point: Point) -> Point:
    """The point with a canonical id and vectors of float32 values.

    Raises InvalidRequest, naming the point, for an id or a vector that no store should hold: the
    embedded store would take a negative id, an infinity, and integers that it later cuts off.
    """
    vectors = {name: _checked(point.id, name, vector) for name, vector in point.vectors.items()}
    return Point(canonical_id(point.id), vectors, point.payload)


def _checked(point_id: object, name: str, vector: Vector) -> Vector:
    try:
        if isinstance(vector, dict):
            indices = [int(index) for index in vector["indices"]]
            return {"indices": indices, "values": _float32(vector["values"])}
        if vector and isinstance(vector[0], list):
            return [_float32(row) for row in vector]
        return _float32(vector)
    except (TypeError, ValueError, KeyError):
        raise InvalidRequest(
            f"Point {point_id}: vector `{name}` has to be a list of finite numbers, a list of such "
            "lists, or an object with `indices` and `values`."
        ) from None


def _float32(values: Any) -> list[float]:
    packed = array("f", values)
    if not math.isfinite(sum(packed)):
        raise ValueError
    return packed.tolist()


def plain_point(point_id: Any, vector: Any, payload: Any) -> Point:
    """A point as a store gives it back, in plain JSON."""
    named = vector if isinstance(vector, dict) else {"": vector} if vector else {}
    return Point(canonical_id(point_id), dict(named), payload or {})


def refuse_no_numbers(point: Point) -> None:
    """Raises InvalidRequest, naming the point, where a vector holds NaN or an infinity, or null,
    which a server writes for these: no JSON can hold them."""
    for name, vector in point.vectors.items():
        if not all(map(_all_numbers, _parts(vector))):
            raise InvalidRequest(
                f"Point {point.id}: vector `{name}` holds NaN or an infinity, which JSON has not; "
                "correct the point, or delete it. (A clone copies it as it is, where the server "
                "is reached over gRPC.)"
            )


def _parts(vector: Vector) -> list[list[Any]]:
    if isinstance(vector, dict):
        return [vector["values"]]
    rows: Any = vector
    return rows if rows and isinstance(rows[0], list) else [rows]


def _all_numbers(values: list[Any]) -> bool:
    return None not in values and math.isfinite(sum(values))


# ---- configuration ---------------------------------------------------------------------------


def index_params(schema: Any) -> dict[str, Any]:
    """A payload index in one form, `{"type": "keyword", ...parameters}`.

    Takes what Qdrant takes (`"keyword"`, or an object with `type`) and what it reports
    (`{"data_type": "keyword", "params": {...}, "points": 3}`).
    """
    if isinstance(schema, str):
        return {"type": schema}
    if "data_type" not in schema:
        return dict(schema)
    params = {
        key: value for key, value in (schema.get("params") or {}).items() if value is not None
    }
    return {"type": schema["data_type"], **params}


def reported_index(schema: Any) -> dict[str, Any]:
    """A payload index in the form that Qdrant reports, without the count of points."""
    params = index_params(schema)
    return {"data_type": params["type"], "params": params}


def create_body(config: CollectionConfig) -> dict[str, Any]:
    """The request body that makes such a collection on a server; `later_params`, shard keys and
    payload indexes come after it."""
    later = ("shard_keys", "payload_schema", *_LATER_PARAMS)
    body = {key: value for key, value in config.items() if key not in later}
    vectors = body.get("vectors") or {}
    body["vectors"] = vectors[""] if vectors.keys() == {""} else vectors
    if not body.get("sparse_vectors"):
        # Else the server reports an empty object, which what is copied does not have.
        body.pop("sparse_vectors", None)
    return {key: value for key, value in body.items() if value is not None}


def later_params(config: CollectionConfig) -> dict[str, Any]:
    """The `params` to tell such a collection once it is made."""
    return {key: config[key] for key in _LATER_PARAMS if config.get(key) is not None}


def reported_config(info: dict[str, Any]) -> CollectionConfig:
    """The configuration out of a server's description of a collection, all that it takes again."""
    reported = info["config"]
    params = reported["params"]
    vectors = params.get("vectors") or {}
    config: CollectionConfig = {
        "vectors": {"": vectors} if isinstance(vectors.get("size"), int) else vectors,
        "sparse_vectors": params.get("sparse_vectors") or {},
        **{key: params[key] for key in (*_PARAMS, *_LATER_PARAMS) if key in params},
        "hnsw_config": reported.get("hnsw_config"),
        "optimizers_config": reported.get("optimizer_config"),
        "wal_config": reported.get("wal_config"),
        "quantization_config": reported.get("quantization_config"),
        "strict_mode_config": reported.get("strict_mode_config"),
    }
    config = {key: _without_null(value) for key, value in config.items() if value is not None}
    if reported.get("metadata"):
        config["metadata"] = reported["metadata"]
    config["payload_schema"] = {
        field: reported_index(schema) for field, schema in info["payload_schema"].items()
    }
    return config


def reported_keys(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The `shard_keys` of a configuration, out of a server's description of a collection's shards:
    each with the number of its shards. (How many replicas a key was made with is not told: one may
    be missing now, or one too many while it is moved.)"""
    shards: dict[ShardKey, set[int]] = {}
    for shard in (*cluster["local_shards"], *cluster["remote_shards"]):
        if (key := shard.get("shard_key")) is not None:
            shards.setdefault(key, set()).add(shard["shard_id"])
    ordered = sorted(shards, key=lambda key: (isinstance(key, str), key))
    return [{"shard_key": key, "shards_number": len(shards[key])} for key in ordered]


def unreadable_key(cluster: dict[str, Any]) -> ShardKey | None:
    """A shard key with a shard of which no replica can be read, as while a tenant is moved into a
    key of its own."""
    shards = [*cluster["local_shards"], *cluster["remote_shards"]]
    readable = {shard["shard_id"] for shard in shards if shard["state"] in _READABLE}
    found = (one.get("shard_key") for one in shards if one["shard_id"] not in readable)
    return next((key for key in found if key is not None), None)


def _without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_null(item) for key, item in value.items() if item is not None}
