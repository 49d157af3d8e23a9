"""Collections as other people have them, made over REST with nothing of the product in between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

from ..faults.rest import ask

POINTS = 60
_DENSE = {"size": 6, "distance": "Dot"}


@dataclass(frozen=True)
class Shape:
    """`config` is the body that makes the collection, `vector` what one point of it has, by a
    random generator. With shard `keys`, all of them but the last have points of the same ids."""

    config: dict[str, Any]
    vector: Any
    points: int = POINTS
    name: str = "docs"
    uuids: bool = False
    indexes: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    keys: tuple[int | str, ...] = ()

    @property
    def filled(self) -> tuple[int | str | None, ...]:
        """The shard keys that have points."""
        return self.keys[:-1] or (None,)


def _numbers(size: int) -> Any:
    return lambda chance: [round(chance.uniform(-1, 1), 3) for _ in range(size)]


def _unnamed(**more: Any) -> dict[str, Any]:
    return {"vectors": _DENSE | more}


def _quantized(how: dict[str, Any]) -> Shape:
    return Shape(_unnamed() | {"quantization_config": how}, _numbers(6))


def _sparse(chance: Random) -> dict[str, Any]:
    indices = sorted(chance.sample(range(10_000), 5))
    return {"indices": indices, "values": [round(chance.uniform(0, 2), 3) for _ in indices]}


_STRICT = {"enabled": True, "max_query_limit": 50, "unindexed_filtering_retrieve": False}

SHAPES: dict[str, Shape] = {
    "unnamed": Shape(_unnamed(), _numbers(6)),
    "named": Shape(
        {"vectors": {"a": _DENSE, "b": {"size": 3, "distance": "Euclid"}}},
        lambda chance: {"a": _numbers(6)(chance), "b": _numbers(3)(chance)},
    ),
    "called size": Shape(
        {"vectors": {"size": _DENSE, "distance": {"size": 3, "distance": "Dot"}}},
        lambda chance: {"size": _numbers(6)(chance), "distance": _numbers(3)(chance)},
    ),
    "cosine": Shape({"vectors": {"size": 5, "distance": "Cosine"}}, _numbers(5)),
    "sparse only": Shape(
        {"sparse_vectors": {"words": {"modifier": "idf"}}},
        lambda chance: {"words": _sparse(chance)},
    ),
    "multivector": Shape(
        _unnamed(multivector_config={"comparator": "max_sim"}),
        lambda chance: [_numbers(6)(chance) for _ in range(chance.randint(1, 4))],
    ),
    "float16": Shape(_unnamed(datatype="float16"), lambda chance: [chance.randint(-8, 8)] * 6),
    "uint8": Shape(_unnamed(datatype="uint8"), lambda chance: [chance.randint(0, 255)] * 6),
    "scalar": _quantized({"scalar": {"type": "int8", "always_ram": True}}),
    "product": _quantized({"product": {"compression": "x4"}}),
    "binary": _quantized({"binary": {"always_ram": True}}),
    "turbo": _quantized({"turbo": {"bits": "bits2"}}),
    "on disk": Shape(
        _unnamed(on_disk=True) | {"on_disk_payload": True, "hnsw_config": {"on_disk": True}},
        _numbers(6),
        indexes={"n": {"type": "integer", "on_disk": True}},
    ),
    "uuids": Shape(_unnamed(), _numbers(6), uuids=True),
    "strict mode": Shape(_unnamed() | {"strict_mode_config": _STRICT}, _numbers(6)),
    "three shards": Shape(_unnamed() | {"shard_number": 3}, _numbers(6)),
    "custom shard keys": Shape(
        _unnamed() | {"sharding_method": "custom", "shard_number": 2},
        _numbers(6),
        indexes={"n": {"type": "integer"}},
        keys=("tenant ü", 7, "7", "empty"),
    ),
    "1-dimensional": Shape({"vectors": {"size": 1, "distance": "Dot"}}, _numbers(1)),
    "empty": Shape(_unnamed(), _numbers(6), points=0),
    "no vectors": Shape({"vectors": {}}, lambda _: {}),
    "odd name": Shape(_unnamed(), _numbers(6), name="Documents & größer=100%, v2 #1"),
    # What it says means nothing to us: whose it is does not know the platform.
    "like the platform's": Shape(
        _unnamed(),
        _numbers(6),
        payload={
            "_internal": {"namespace_id": "ns_theirs0001", "internal_id": "org_theirs"},
            "collection_id": "col_theirs0001",
            "document_blobs": [{"presigned_url": "https://files.example/a?X-Amz-Signature=1"}],
            "_taxonomy_tax_theirs00001_label": "x",
        },
        indexes={"_taxonomy_tax_theirs00001_label": {"type": "keyword"}},
    ),
}


# A cluster whose leader was killed, on a busy machine, takes longer than it gives itself.
PATIENTLY = "timeout=120"


def path(collection: str) -> str:
    return f"/collections/{quote(collection, safe='')}"


@contextmanager
def made(url: str, shape: Shape) -> Iterator[str]:
    """The name of a collection of that shape, which is removed in the end."""
    name = f"{shape.name} {uuid.uuid4().hex[:8]}".replace(" ", "_" if shape.name == "docs" else " ")
    ask(url, f"{path(name)}?{PATIENTLY}", shape.config, "PUT")
    try:
        for key in shape.keys:
            add_key(url, name, key)
        for index, schema in shape.indexes.items():
            body = {"field_name": index, "field_schema": schema}
            ask(url, f"{path(name)}/index?wait=true&{PATIENTLY}", body, "PUT")
        if shape.points:
            fill(url, name, shape, range(shape.points))
        yield name
    finally:
        ask(url, f"{path(name)}?{PATIENTLY}", method="DELETE")


def fill(url: str, collection: str, shape: Shape, numbers: range, **payload: Any) -> None:
    """Writes these points, as their owner would."""
    for key in shape.filled:
        own = {} if key is None else {"of": f"{key!r}"}
        points = [
            {
                "id": str(uuid.UUID(int=n + 1)) if shape.uuids else n,
                "vector": shape.vector(Random(f"{n}{key}" if own else n)),
                "payload": {"n": n, "title": f"title {n}", **shape.payload, **own, **payload},
            }
            for n in numbers
        ]
        body = {"points": points, **({} if key is None else {"shard_key": key})}
        ask(url, f"{path(collection)}/points?wait=true", body, "PUT")


def add_key(url: str, collection: str, key: int | str, shards: int | None = None) -> None:
    body = {"shard_key": key} | ({} if shards is None else {"shards_number": shards})
    ask(url, f"{path(collection)}/shards?{PATIENTLY}", body, "PUT")


def remove_key(url: str, collection: str, key: int | str) -> None:
    ask(url, f"{path(collection)}/shards/delete?{PATIENTLY}", {"shard_key": key})


def keys_of(url: str, collection: str) -> list[int | str]:
    known = ask(url, f"{path(collection)}/shards").get("shard_keys")
    return [one["key"] for one in known or ()]
