"""What goes into one request: as many points as fit, as JSON or encoded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from .models import checked
from .point import Point, ShardKey, Vector
from .port import T
from .text import encoded_vector

_MOST_OVERHEAD = 512  # of a request, of a point in it


def in_requests(
    points: Iterable[bytes], max_bytes: int, max_points: int | None = None
) -> Iterator[list[bytes]]:
    """As many encoded points as fit into one request; one at least."""
    held: list[bytes] = []
    size = 0
    for point in points:
        length = len(point) + _MOST_OVERHEAD
        if held and (size + length > max_bytes - _MOST_OVERHEAD or len(held) == max_points):
            yield held
            held, size = [], 0
        held.append(point)
        size += length
    if held:
        yield held


def upsert_bodies(
    points: Iterable[Point],
    max_bytes: int,
    max_points: int | None = None,
    shard_key: ShardKey | None = None,
) -> Iterator[bytes]:
    """Request bodies with as many points each as fit into `max_bytes`; one at least."""
    of_key = b"" if shard_key is None else b'"shard_key":%b,' % encoded_json(shard_key)
    start, end = b'{%b"points":[' % of_key, b"]}"
    held: list[bytes] = []
    size = len(start) + len(end)
    for point in points:
        encoded = _encoded_point(checked(point))
        if held and (size + len(encoded) + 1 > max_bytes or len(held) == max_points):
            yield start + b",".join(held) + end
            held, size = [], len(start) + len(end)
        held.append(encoded)
        size += len(encoded) + 1
    if held:
        yield start + b",".join(held) + end


def _encoded_point(point: Point) -> bytes:
    """A lone unnamed vector stands without a name."""
    if point.vectors.keys() == {""}:
        vectors = _encoded_vector(point.vectors[""])
    else:
        named = (
            encoded_json(name) + b":" + _encoded_vector(vector)
            for name, vector in point.vectors.items()
        )
        vectors = b"{%b}" % b",".join(named)
    id, payload = encoded_json(point.id), encoded_json(point.payload)
    return b'{"id":%b,"vector":%b,"payload":%b}' % (id, vectors, payload)


def _encoded_vector(vector: Vector) -> bytes:
    # Two rows of which the first has whole numbers without a point, a server takes for a sparse
    # vector's indices and values (measured, 1.18).
    if isinstance(vector, list) and vector and isinstance(vector[0], list):
        return encoded_json(vector)
    return encoded_vector(vector)


def encoded_json(value: Any) -> bytes:
    """Raises ValueError for NaN and infinities, which JSON has not."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """At most `size` at once."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
