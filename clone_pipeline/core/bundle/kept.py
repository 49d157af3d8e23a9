"""What a Qdrant server keeps of a bundle's points otherwise than it stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..vectors.point import Point, PointId, Vector
from ..vectors.settle import reread
from .config import Dense, VectorShapes

# A cosine vector is left alone if its length is that close to 1.
_UNIT = 1e-6
_EXACT = ("float32", "uint8")  # of what `parse_point` lets through


class Kept:
    """Looks at every point that is loaded into a server; `warnings` then has a sentence for each
    kind of change that the server makes."""

    def __init__(self, shapes: VectorShapes) -> None:
        self._shapes = {**shapes.dense, **shapes.multi}
        self._floats = 0
        self._payloads = 0
        self._first: PointId | None = None
        self._rounded: dict[str, int] = {}
        self._scaled: dict[str, int] = {}
        self._lossy: dict[str, int] = {}

    def look(self, point: Point) -> None:
        changed = sum(1 for value in _floats_in(point.payload) if reread(value) != value)
        if changed:
            self._floats += changed
            self._payloads += 1
            self._first = point.id if self._first is None else self._first
        for name, vector in point.vectors.items():
            if name in self._shapes:
                self._look_at(name, self._shapes[name], vector)

    def _look_at(self, name: str, shape: Dense, vector: Vector) -> None:
        if shape.datatype not in (*_EXACT, "float16"):
            _count(self._lossy, name)
        if shape.datatype == "uint8":
            return
        rows = np.atleast_2d(np.asarray(vector, dtype=np.float32))
        if shape.distance == "Cosine":
            squares = np.square(rows, dtype=np.float64).sum(axis=1)
            if (np.abs(squares[squares > 0] - 1) > _UNIT).any():
                _count(self._scaled, name)
        if shape.datatype == "float16" and (rows.astype(np.float16) != rows).any():
            _count(self._rounded, name)

    @property
    def warnings(self) -> list[str]:
        found = []
        if self._floats:
            found.append(
                f"Qdrant keeps {self._floats:,} of the floats in payloads a last place or more off "
                "(less than 1e-12 of each), because its parser of JSON is not exact. Points with "
                f"such: {self._payloads:,}, the first of which is {self._first}."
            )
        found += _sentences(self._scaled, "scaled to length 1, as Cosine asks for")
        found += _sentences(self._rounded, "rounded to float16, 11 bits of each number")
        for name, count in self._lossy.items():
            datatype = self._shapes[name].datatype
            found.append(
                f"Qdrant keeps vector {name!r} as {datatype}, which does not give back what was "
                f"written. Points with it: {count:,}."
            )
        return found


def _sentences(counts: dict[str, int], how: str) -> Iterator[str]:
    for name, count in counts.items():
        points = "1 point" if count == 1 else f"{count:,} points"
        yield f"Qdrant keeps vector {name!r} of {points} {how}."


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _floats_in(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _floats_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _floats_in(item)
