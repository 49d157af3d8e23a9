"""Slices are read whole, and little is read beyond their ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.points.pages import FIRST_PAGE, LARGEST_PAGE, read_slice
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.encoded import EncodedPage, EncodedPoint
from clone_pipeline.core.vectors.ids import id_number, id_order
from clone_pipeline.core.vectors.point import Point, PointId, ShardKey
from clone_pipeline.core.vectors.port import Attempt, once
from clone_pipeline.core.vectors.slices import Slice, cut, from_firsts

from ..vectors.spelling import IDS

POINT_BYTES = 4000  # so that a page may be as large as any


@dataclass
class Shelf:
    """A server's collection, as far as reading it goes: ids in order, pages, what was asked for."""

    ids: list[PointId]
    limits: list[int] = field(default_factory=list)
    read_points: int = 0
    embedded = False

    def read(
        self, _name: str, limit: int, offset: PointId | None, attempt: Attempt = once
    ) -> EncodedPage:
        self.limits.append(limit)
        start = 0
        if offset is not None:
            start = sum(id_order(one) < id_order(offset) for one in self.ids)
        page = self.ids[start : start + limit]
        self.read_points += len(page)
        rest = self.ids[start + limit :]
        points = (EncodedPoint.of(Point(one, {}, {})) for one in page)
        return EncodedPage(points, len(page), rest[0] if rest else None, POINT_BYTES * len(page))

    def count(self, _name: str) -> int:
        return len(self.ids)

    def split(self, _name: str, parts: int) -> list[PointId]:
        return [self.ids[len(self.ids) * part // parts] for part in range(1, parts)]


@dataclass
class Keyed:
    """A server's collection with custom sharding: the same id may stand in several keys."""

    shelves: dict[ShardKey, Shelf]
    embedded = False

    def within(self, shard_key: ShardKey) -> Shelf:
        return self.shelves[shard_key]


class NoLimit:
    """A Retry that never waits."""

    def __call__(self, request: Any) -> Any:
        return request()

    def pace(self, points: int) -> None:
        pass


def ids_of(shelf: Shelf | Keyed, part: Slice) -> Iterator[PointId]:
    for page in read_slice(shelf, "c", part, NoLimit()):  # type: ignore[arg-type]
        yield from (point.id for point in page.points)


@given(st.sets(IDS, max_size=60), st.sets(IDS, max_size=6))
def test_together_slices_have_every_point_once(ids: set[PointId], firsts: set[PointId]) -> None:
    """Whatever the ids are, and wherever it is cut."""
    shelf = Shelf(sorted(ids, key=id_order))
    parts = from_firsts(sorted(firsts, key=id_order))
    assert [one for part in parts for one in ids_of(shelf, part)] == shelf.ids


KEYS = st.integers(0, 9) | st.sampled_from(["", "a", "7", "tenant ü"])


@given(st.dictionaries(KEYS, st.sets(IDS, max_size=30), max_size=4))
def test_with_shard_keys_they_have_every_point_of_every_key_once(
    ids: dict[ShardKey, set[PointId]],
) -> None:
    """Also as the ledger gives them back; and each key has a slice, for points that come later."""
    store = Keyed({key: Shelf(sorted(some, key=id_order)) for key, some in ids.items()})
    points = sum(map(len, ids.values()))
    with patch.object(slices, "_POINTS_PER_SLICE", 5):
        parts = cut(store, "c", points, list(ids))  # type: ignore[arg-type]
    kept = [Slice.from_json(part.index, json.loads(json.dumps(part.to_json()))) for part in parts]
    assert kept == parts
    assert [part.index for part in kept] == list(range(len(kept)))
    assert {part.shard_key for part in kept} == ids.keys()
    assert [(part.shard_key, one) for part in kept for one in ids_of(store, part)] == [
        (key, one) for key, shelf in store.shelves.items() for one in shelf.ids
    ]


@given(st.integers(0, 2**64 - 1) | st.uuids().map(str), st.integers(0, 2**64 - 1))
def test_numbers_of_ids_have_the_order_of_the_ids(one: PointId, other: PointId) -> None:
    assert (id_number(one) < id_number(other)) == (id_order(one) < id_order(other))


def evenly(count: int) -> dict[str, list[PointId]]:
    step = 2**128 // count
    return {
        "integers": list(range(0, count * 7, 7)),
        "uuids": [str(UUID(int=number * step)) for number in range(count)],
    }


@pytest.mark.outside
def test_of_ids_that_lie_evenly_hardly_any_is_read_for_nothing() -> None:
    for ids in evenly(40_000).values():
        shelf = Shelf(ids)
        parts = from_firsts(ids[first] for first in range(5_000, 40_000, 5_000))
        for part in parts:
            assert sum(1 for _ in ids_of(shelf, part)) == 5_000
        assert shelf.read_points < 40_000 * 1.02
        assert set(shelf.limits) >= {FIRST_PAGE, LARGEST_PAGE}


def test_ids_that_lie_unevenly_cost_a_few_more_requests_at_most() -> None:
    """Crowded before the end of a slice, where its first pages were sparse."""
    ids: list[PointId] = [*range(0, 1_000_000, 1000), *range(1_000_000, 1_004_000), 2_000_000]
    shelf = Shelf(ids)
    part = Slice(0, None, 1_004_000)
    assert sum(1 for _ in ids_of(shelf, part)) == 5_000
    assert len(shelf.limits) < 40
