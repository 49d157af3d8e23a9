"""Walking over points page by page, and over two sets of points side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from .ids import id_order
from .port import Point, PointId, VectorStore


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
    left, right = _flat(expected), _flat(actual)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and id_order(a.id) < id_order(b.id)):
            yield a, None
            a = next(left, None)
        elif a is None or id_order(b.id) < id_order(a.id):
            yield None, b
            b = next(right, None)
        else:
            yield a, b
            a, b = next(left, None), next(right, None)


def _flat(stream: Iterable[Iterable[T]]) -> Iterator[T]:
    for page in stream:
        yield from page
