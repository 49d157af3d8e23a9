"""What a dump holds in memory is a part, however many points there are."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.bundle.archive.place import ANYTHING
from clone_pipeline.core.points.retry import Retry
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.encoded import EncodedPage, EncodedPoint
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.port import Attempt, once

from .making import InMemory, dump

pytestmark = pytest.mark.outside

MIB = 1024 * 1024


class Many(EmbeddedStore):
    """Has so many points, which nobody has to write."""

    points = 0

    def count(self, collection: str) -> int:
        return self.points

    def read(
        self,
        collection: str,
        limit: int,
        offset: PointId | None = None,
        attempt: Attempt = once,
    ) -> EncodedPage:
        first = int(offset or 0)
        until = min(first + limit, self.points)
        page = (self._point(number) for number in range(first, until))
        return EncodedPage(page, until - first, until if until < self.points else None)

    def _point(self, number: int) -> EncodedPoint:
        vector = np.random.default_rng(number).standard_normal(64).tolist()
        return EncodedPoint.of(Point(number, {"text": vector}, {"n": number}))


class Sink(InMemory):
    """Keeps the sizes alone."""

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        return super().write(name, data if name.endswith(".json") else [], over)


def peak(stores: Stores, vectors: Many, points: int) -> int:
    vectors.points = points
    tracemalloc.start()
    try:
        assert dump(stores, Sink(), vectors).counts["points"] == points
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_it_does_not_grow(one_store: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 256 * 1024)
    vectors = Many.open(one_store.vector_address.folder)
    try:
        peak(one_store, vectors, 200)  # what stays once it was imported
        few, many = (peak(one_store, vectors, count) for count in (1_000, 8_000))
        assert many < few + MIB // 4
    finally:
        vectors.close()


def test_a_part_is_in_memory_once(one_store: Stores) -> None:
    """Not also in one piece, which would leave a hole of its size (`pieces.py`)."""
    chance = random.Random(1)
    tracemalloc.start()
    try:
        lines = (chance.randbytes(1000).hex().encode() for _ in range(8_000))
        (part,) = parts.write_lines(Sink(), Retry(one_store), "objects", lines)
        assert tracemalloc.get_traced_memory()[1] < part.bytes * 1.2
    finally:
        tracemalloc.stop()
    assert part.bytes > 4 * MIB
