"""Slices: fixed parts of a collection's id space, worked on side by side.

They are cut when a clone is planned and stand in the ledger: a resumed run, with however many
workers, goes on in the same ones. Together they cover every id there is or will be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from .ids import id_order
from .point import PointId
from .port import VectorStore

T = TypeVar("T")

# Small enough for every worker to have some, large enough for a checkpoint to be worth its row.
_POINTS_PER_SLICE = 5_000
_MOST_SLICES = 256


@dataclass(frozen=True)
class Slice:
    """The ids from `first` (None: the lowest) to before `until` (None: to the end)."""

    index: int
    first: PointId | None = None
    until: PointId | None = None

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "until": self.until}

    def __contains__(self, point_id: PointId) -> bool:
        place = id_order(point_id)
        return (self.first is None or id_order(self.first) <= place) and (
            self.until is None or place < id_order(self.until)
        )

    def __str__(self) -> str:
        if self.first is None and self.until is None:
            return "all points"
        first = "the first point" if self.first is None else f"point {self.first}"
        return f"from {first} " + ("on" if self.until is None else f"to before {self.until}")


def cut(store: VectorStore, collection: str, points: int) -> list[Slice]:
    """Slices of about one size, for a collection of so many points; one at least."""
    parts = min(_MOST_SLICES, -(-points // _POINTS_PER_SLICE))
    return from_firsts(store.split(collection, parts))


def from_firsts(firsts: Iterable[PointId]) -> list[Slice]:
    """The slices that begin at these ids (ascending), and the one before them."""
    edges: list[PointId | None] = [None, *firsts, None]
    return [Slice(index, first, until) for index, (first, until) in enumerate(pairwise(edges))]
