"""Two sets of points side by side, and all points of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol, TypeVar

from ..difference import merged
from .ids import id_order
from .point import Point, PointId
from .port import VectorStore


def pages(
    store: VectorStore, collection: str, limit: int, offset: PointId | None = None
) -> Iterator[list[Point]]:
    """All points from `offset` (inclusive) in the store's id order, at most `limit` at once."""
    while True:
        page = store.scroll(collection, limit, offset)
        if page.points:
            yield page.points
        if page.next is None:
            return
        offset = page.next


class HasId(Protocol):
    @property
    def id(self) -> PointId: ...


T = TypeVar("T", bound=HasId)


def pairs(
    expected: Iterable[Iterable[T]], actual: Iterable[Iterable[T]]
) -> Iterator[tuple[T | None, T | None]]:
    """Matches two page streams by id; None stands for a point that one side lacks.

    Both must be in id order. Holds one page of each side.
    """
    return merged(chain.from_iterable(expected), chain.from_iterable(actual), _order)


def _order(point: HasId) -> tuple[int, int, str]:
    return id_order(point.id)
