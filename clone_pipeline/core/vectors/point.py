"""A point and its parts, free of any client's model types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

PointId = int | str  # an unsigned 64-bit integer, or a UUID in its canonical lower-case form


# With custom sharding, what a point was written under: an id is one point in each key.
ShardKey = int | str


Vector = list[float] | list[list[float]] | dict[str, list[Any]]


CollectionConfig = dict[str, Any]


Filter = dict[str, Any]  # as Qdrant's REST interface has it


class Point(NamedTuple):
    id: PointId
    vectors: dict[str, Vector]
    payload: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """Points in the store's id order (integers ascending, then UUIDs); `next` continues."""

    points: list[Point]
    next: PointId | None
