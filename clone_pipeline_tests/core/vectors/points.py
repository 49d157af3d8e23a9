"""Points and configurations for the tests of the vector stores."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from clone_pipeline.core.vectors.point import CollectionConfig, Point, PointId

UUID = "0b6f9d5e-3c1a-4a58-9f59-1d0c2a7e4b10"

CONFIG: CollectionConfig = {
    "vectors": {
        "text": {"size": 4, "distance": "Cosine"},
        "image": {"size": 3, "distance": "Dot"},
        "tokens": {
            "size": 2,
            "distance": "Cosine",
            "multivector_config": {"comparator": "max_sim"},
        },
        "parts": {
            "size": 2,
            "distance": "Euclid",
            "multivector_config": {"comparator": "max_sim"},
        },
    },
    "sparse_vectors": {"words": {"modifier": "idf"}},
}

PLAIN: CollectionConfig = {"vectors": {"": {"size": 2, "distance": "Dot"}}}

PAYLOAD: dict[str, Any] = {
    "title": "Größe ✓ 𝄞",
    "nothing": None,
    "yes": True,
    "count": 3,
    "whole": 3.0,
    "tiny": 5e-324,
    "minus": -0.0,
    "big": 2**63 - 1,
    "largest": 2**64 - 1,
    "empty": {"list": [], "object": {}, "text": ""},
    "nested": {"a": [{"b": [1, [2, None]]}, "c"]},
    "dotted.key": {"with space": 1},
}


def make_point(id: PointId = 1, payload: dict[str, Any] | None = None, **vectors: Any) -> Point:
    return Point(id, vectors, {} if payload is None else payload)


def plain_points(first: int, count: int) -> list[Point]:
    return [
        Point(id, {"": [float(id), 1.0]}, {"n": id, "text": f"point {id}"})
        for id in range(first, first + count)
    ]


def _vector(size: int) -> st.SearchStrategy[list[float]]:
    # Not so small or large that a square leaves the range of float32: the embedded store
    # normalises in float32.
    component = st.floats(0.015625, 1000, width=32) | st.floats(-1000, -0.015625, width=32)
    return st.lists(component | st.just(0.0), min_size=size, max_size=size)


def _rows(size: int) -> st.SearchStrategy[list[list[float]]]:
    return st.lists(_vector(size), min_size=1, max_size=3)


_sparse = st.dictionaries(
    st.integers(0, 2**32 - 1),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    max_size=5,
).map(lambda entries: {"indices": list(entries), "values": list(entries.values())})

_vectors = st.fixed_dictionaries(
    {},
    optional={
        "text": _vector(4),
        "image": _vector(3),
        "tokens": _rows(2),
        "parts": _rows(2),
        "words": _sparse,
    },
)

_ids = st.integers(0, 2**64 - 1) | st.uuids().map(str)

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

_payloads = st.dictionaries(st.text(min_size=1), _values, max_size=4)


def point_lists() -> st.SearchStrategy[list[Point]]:
    """Points of CONFIG with different ids: any vectors, any payload."""
    one = st.builds(Point, id=_ids, vectors=_vectors, payload=_payloads)
    return st.lists(one, min_size=1, max_size=6, unique_by=lambda point: point.id)
