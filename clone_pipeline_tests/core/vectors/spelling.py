"""What a Qdrant server may send, by Qdrant's own generated messages; and strategies for it.

Nothing of ours takes part in it, so that both can be held against each other.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import strategies as st
from qdrant_client import grpc

from clone_pipeline.core.vectors.point import Point, PointId, Vector

# ---- values ----------------------------------------------------------------------------------

_PAYLOAD_OF_RETRIEVED, _VECTORS_OF_RETRIEVED = 0x12, 0x22
_FIRST, _NAMED, _STRUCT, _LIST = 0x0A, 0x12, 0x32, 0x3A


def _entries(tag: int, of: Any, encoded: dict[str, bytes], chance: random.Random) -> bytes:
    """The entries of a map in any order; `of` makes the map's message with one key."""
    keys = list(encoded)
    chance.shuffle(keys)
    return b"".join(_sized(tag, _entry(of, key, encoded[key])) for key in keys)


def _entry(of: Any, key: str, value: bytes) -> bytes:
    """As the server writes it: an empty key is left out."""
    return (_sized(0x0A, key.encode()) if key else b"") + _sized(0x12, value)


def _sized(tag: int, body: bytes) -> bytes:
    size, out = len(body), bytearray([tag])
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + body


def spelled(value: Any, chance: random.Random) -> bytes:
    """A `Value` with the keys of every object in any order."""
    if isinstance(value, dict):
        items = {key: spelled(item, chance) for key, item in value.items()}
        return _sized(_STRUCT, _entries(_FIRST, grpc.Struct, items, chance))
    if isinstance(value, list):
        return _sized(_LIST, b"".join(_sized(_FIRST, spelled(item, chance)) for item in value))
    return bytes(message(value).SerializeToString())


def message(value: Any) -> Any:
    """A `Value`, as Qdrant's own conversion makes it: an integer from 2**63 becomes a float."""
    if value is None:
        return grpc.Value(null_value=0)
    if isinstance(value, bool):
        return grpc.Value(bool_value=value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return grpc.Value(integer_value=value)
        return grpc.Value(double_value=float(value))
    if isinstance(value, float):
        return grpc.Value(double_value=value)
    if isinstance(value, str):
        return grpc.Value(string_value=value)
    if isinstance(value, list):
        return grpc.Value(list_value=grpc.ListValue(values=[message(item) for item in value]))
    fields = {key: message(item) for key, item in value.items()}
    return grpc.Value(struct_value=grpc.Struct(fields=fields))


def value_of(value: Any) -> Any:
    """The JSON that a `Value` stands for."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: value_of(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [value_of(item) for item in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)


# ---- points ----------------------------------------------------------------------------------


def retrieved(point: Point, chance: random.Random) -> bytes:
    """A `RetrievedPoint` with payload and named vectors in any order."""
    payload = {key: spelled(value, chance) for key, value in point.payload.items()}
    parts = [
        bytes(grpc.RetrievedPoint(id=_id(point.id)).SerializeToString()),
        _entries(_PAYLOAD_OF_RETRIEVED, grpc.RetrievedPoint, payload, chance),
        _vectors(point.vectors, chance),
    ]
    chance.shuffle(parts)
    return b"".join(parts)


def scrolled(page: list[Point], chance: random.Random, following: PointId | None = None) -> bytes:
    """A `ScrollResponse`, with all that a server may add."""
    parts = [_sized(0x12, retrieved(point, chance)) for point in page]
    head = {} if following is None else {"next_page_offset": _id(following)}
    usage = grpc.Usage(hardware=grpc.HardwareUsage(cpu=chance.randrange(300)))
    more = grpc.ScrollResponse(time=chance.random(), usage=usage if chance.random() < 0.5 else None)
    return b"".join(
        [
            grpc.ScrollResponse(**head).SerializeToString(),
            *parts,
            more.SerializeToString(),
        ]
    )


def _id(point_id: PointId) -> Any:
    if isinstance(point_id, int):
        return grpc.PointId(num=point_id)
    return grpc.PointId(uuid=point_id)


def _vectors(vectors: dict[str, Vector], chance: random.Random) -> bytes:
    if not vectors and chance.random() < 0.5:
        return b""
    encoded = {name: bytes(_vector(one).SerializeToString()) for name, one in vectors.items()}
    if vectors.keys() == {""}:
        return _sized(_VECTORS_OF_RETRIEVED, _sized(_FIRST, encoded[""]))
    named = _entries(_FIRST, grpc.NamedVectorsOutput, encoded, chance)
    return _sized(_VECTORS_OF_RETRIEVED, _sized(_NAMED, named))


def _vector(vector: Vector) -> Any:
    if isinstance(vector, dict):
        return grpc.VectorOutput(sparse=grpc.SparseVector(**vector))
    if vector and isinstance(vector[0], list):
        rows = [grpc.DenseVector(data=row) for row in vector]
        return grpc.VectorOutput(multi_dense=grpc.MultiDenseVector(vectors=rows))
    return grpc.VectorOutput(dense=grpc.DenseVector(data=vector))


def point_of(struct: Any) -> Point:
    """The point that a `PointStruct` stands for."""
    which = struct.id.WhichOneof("point_id_options")
    vectors = struct.vectors.vectors.vectors
    if struct.vectors.WhichOneof("vectors_options") == "vector":
        vectors = {"": struct.vectors.vector}
    return Point(
        getattr(struct.id, which),
        {name: _vector_of(vector) for name, vector in vectors.items()},
        {key: value_of(value) for key, value in struct.payload.items()},
    )


def _vector_of(vector: Any) -> Vector:
    kind = vector.WhichOneof("vector")
    if kind == "sparse":
        return {"indices": list(vector.sparse.indices), "values": list(vector.sparse.values)}
    if kind == "multi_dense":
        return [list(row.data) for row in vector.multi_dense.vectors]
    return list(vector.dense.data)


# ---- strategies ------------------------------------------------------------------------------

_texts = st.text() | st.sampled_from(["", "a\0b", "\0", "ns_1", "Größe ✓ 𝄞", "x" * 130, "ü" * 2100])
_floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [-0.0, 0.0, 1.0, 1e308, -1e308, 5e-324, 2.0**53, 2.0**63, 2.0**64, 1e19]
)
_integers = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [0, 1, -1, 127, 128, 2**53 + 1, 2**63 - 1, -(2**63)]
)
LARGE = st.integers(2**63, 2**64 - 1) | st.sampled_from([2**63, 2**64 - 1024, 2**64 - 1])
SMALL = st.none() | st.booleans() | _integers | _floats | _texts


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    wide = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
        max_leaves=12,
    )
    return wide | st.builds(_wrapped, wide, st.lists(st.booleans(), max_size=60))


def _wrapped(value: Any, how: list[bool]) -> Any:
    for in_object in how:
        value = {"in": value, "beside": None} if in_object else [0, value]
    return value


VALUES = _nested(SMALL)  # all that Qdrant's `Value` can hold
JSON = _nested(SMALL | LARGE | st.integers())

_component = st.floats(width=32, allow_nan=False, allow_infinity=False)
_dense = st.lists(_component, min_size=1, max_size=6)
_sparse = st.dictionaries(st.integers(0, 2**32 - 1), _component, max_size=5).map(
    lambda entries: {
        "indices": sorted(entries),
        "values": [entries[key] for key in sorted(entries)],
    }
)
_multi = st.integers(1, 3).flatmap(
    lambda size: st.lists(
        st.lists(_component, min_size=size, max_size=size), min_size=1, max_size=3
    )
)
_vector_values = _dense | _sparse | _multi
_names = st.sampled_from(["", "text", "Bild ✓", "n" * 200]) | st.text(max_size=5)
VECTORS = (
    st.just({})
    | st.builds(lambda vector: {"": vector}, _dense | _multi)
    | st.dictionaries(_names, _vector_values, max_size=4).filter(
        # A sparse vector has a name.
        lambda vectors: not (vectors.keys() == {""} and isinstance(vectors[""], dict))
    )
)
IDS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 127, 128, 2**64 - 1]) | st.uuids().map(str)


def points(values: st.SearchStrategy[Any] = VALUES) -> st.SearchStrategy[Point]:
    payloads = st.dictionaries(_texts, values, max_size=4)
    return st.builds(Point, id=IDS, vectors=VECTORS, payload=payloads)


def with_flipped_bit(vector: Vector, place: int) -> Vector:
    """The vector with another last bit in one component (the `place`-th, counted around)."""
    if isinstance(vector, dict):
        values = _flipped(vector["values"], place)
        return {"indices": vector["indices"], "values": values}
    if isinstance(vector[0], list):
        row = place % len(vector)
        rows: list[Any] = list(vector)
        rows[row] = _flipped(rows[row], place)
        return rows
    return _flipped(vector, place)


def _flipped(values: list[Any], place: int) -> list[Any]:
    packed = np.array(values, dtype="<f4")
    packed.view("<u4")[place % len(values)] ^= 1
    flipped: list[Any] = packed.tolist()
    return flipped
