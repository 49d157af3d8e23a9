"""Slices: fixed parts of a collection's id space, worked on side by side.

They are cut when a clone is planned and stand in the ledger: a resumed run, with however many
workers, goes on in the same ones. Together they cover every id there is or will be.

With custom sharding a point is known by its shard key and its id, because the same id may stand in
several keys. Each slice then belongs to one key, and each key has one slice at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from .ids import id_order
from .point import CollectionConfig, PointId, ShardKey
from .port import VectorStore

T = TypeVar("T")

# Small enough for every worker to have some, large enough for a checkpoint to be worth its row.
_POINTS_PER_SLICE = 5_000
_MOST_SLICES = 256


@dataclass(frozen=True)
class Slice:
    """The ids from `first` (None: the lowest) to before `until` (None: to the end), of a shard key
    (None: the collection has none)."""

    index: int
    first: PointId | None = None
    until: PointId | None = None
    shard_key: ShardKey | None = None

    def to_json(self) -> dict[str, Any]:
        bounds = {"first": self.first, "until": self.until}
        return bounds if self.shard_key is None else bounds | {"shard_key": self.shard_key}

    def to_row(self, clone_id: str) -> dict[str, Any]:
        """For the ledger, before any of it is copied."""
        row = {"clone_id": clone_id, "slice": self.index, "bounds": self.to_json()}
        return row | {"points": 0, "progress": {}, "done": False}

    @classmethod
    def from_json(cls, index: int, bounds: Mapping[str, Any]) -> Slice:
        return cls(index, bounds.get("first"), bounds.get("until"), bounds.get("shard_key"))

    def within(self, store: VectorStore) -> VectorStore:
        """The store as far as the slice's points may be in it."""
        return within(store, self.shard_key)

    def __contains__(self, point_id: PointId) -> bool:
        place = id_order(point_id)
        return (self.first is None or id_order(self.first) <= place) and (
            self.until is None or place < id_order(self.until)
        )

    def overlaps(self, other: Slice) -> bool:
        """Whether there may be an id in both; of slices of one shard key, or of none."""
        return not (_is_before(self, other) or _is_before(other, self))

    def __str__(self) -> str:
        of = in_key(self.shard_key)
        if self.first is None and self.until is None:
            return f"all points{of}"
        first = "the first point" if self.first is None else f"point {self.first}"
        return f"from {first} " + ("on" if self.until is None else f"to before {self.until}") + of


def _is_before(one: Slice, other: Slice) -> bool:
    if one.until is None or other.first is None:
        return False
    return id_order(one.until) <= id_order(other.first)


def within(store: VectorStore, shard_key: ShardKey | None) -> VectorStore:
    return store if shard_key is None else store.within(shard_key)


def in_key(shard_key: ShardKey | None) -> str:
    """What is said behind the name of a point: nothing where there are no shard keys."""
    return "" if shard_key is None else f" in shard key {shard_key!r}"


def shard_keys(config: CollectionConfig) -> list[ShardKey] | None:
    """The keys of a collection with custom sharding, which may have none yet; None without."""
    if config.get("sharding_method") != "custom":
        return None
    return [entry["shard_key"] for entry in config.get("shard_keys", ())]


def without_shard_keys(config: CollectionConfig) -> CollectionConfig:
    """What a configuration is where none are kept, as in the embedded store, whatever was asked."""
    if config.get("sharding_method") != "custom":
        return config
    gone = ("sharding_method", "shard_keys")
    return {key: value for key, value in config.items() if key not in gone}


def cut(
    store: VectorStore, collection: str, points: int, keys: Sequence[ShardKey] | None = None
) -> list[Slice]:
    """Slices of about one size, for a collection of so many points; one at least, or, with custom
    sharding, one for each of the `keys`."""
    if keys is None:
        parts = min(_MOST_SLICES, -(-points // _POINTS_PER_SLICE))
        return from_firsts(store.split(collection, parts))
    size = max(_POINTS_PER_SLICE, -(-points // _MOST_SLICES))
    found: list[Slice] = []
    for key in keys:
        part = store.within(key)
        firsts = part.split(collection, -(-part.count(collection) // size))
        found += (replace(one, shard_key=key) for one in from_firsts(firsts))
    return [replace(one, index=index) for index, one in enumerate(found)]


def from_firsts(firsts: Iterable[PointId]) -> list[Slice]:
    """The slices that begin at these ids (ascending), and the one before them."""
    edges: list[PointId | None] = [None, *firsts, None]
    return [Slice(index, first, until) for index, (first, until) in enumerate(pairwise(edges))]
