"""Digests over points that do not depend on their order, in constant memory.

Values are compared as Qdrant gives them back: `1` and `1.0` are different payload values (every
store keeps an integer an integer and a float a float), `true` is neither, the order of an object's
keys does not count and that of a list does. Vector components are float32.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .point import Vector

_MODULUS = 2**128


def canonical(value: Any) -> bytes:
    """One spelling of a JSON value; equal bytes mean equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def vector_bytes(vector: Vector) -> bytes:
    """The vector's kind and its components as little-endian float32; a sparse one by index."""
    if isinstance(vector, dict):
        entries = sorted(zip(vector["indices"], vector["values"], strict=True))
        indices = array("Q", (index for index, _ in entries))
        return b"s" + _little_endian(indices) + float32_bytes(value for _, value in entries)
    if vector and isinstance(vector[0], list):
        rows = [float32_bytes(row) for row in vector if isinstance(row, list)]
        return b"m" + b"".join(len(row).to_bytes(8, "little") + row for row in rows)
    return b"d" + float32_bytes(vector)


def float32_bytes(values: Iterable[Any]) -> bytes:
    """The numbers as little-endian float32. An embedded store gives float64 after a reopen."""
    return _little_endian(array("f", values))


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


@dataclass
class Digest:
    """A sum of point digests: adding in any order, or merging parts, gives the same."""

    total: int = 0
    count: int = 0

    def add(self, digest: int) -> None:
        self.total = (self.total + digest) % _MODULUS
        self.count += 1

    def merge(self, other: Digest) -> None:
        self.total = (self.total + other.total) % _MODULUS
        self.count += other.count

    def hexdigest(self) -> str:
        """32 hexadecimal digits; `count` is not part of it."""
        return f"{self.total:032x}"

    def to_json(self) -> dict[str, Any]:
        return {"digest": self.hexdigest(), "count": self.count}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Digest:
        return cls(int(value["digest"], 16), int(value["count"]))
