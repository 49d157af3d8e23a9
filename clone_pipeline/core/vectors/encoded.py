"""A point in the encoding in which it travels: nothing is decoded that nobody looks at.

All bulk work is done with these: copying, digests, comparing. Every store reads and writes them; a
server over gRPC does so without ever turning a vector into numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from ..errors import InvalidRequest
from . import wire
from .digest import float32_bytes
from .port import Point, PointId, Vector
from .values import (
    NOT_SURE,
    Fields,
    encode,
    encode_entries,
    fields_of,
    join_entry,
    may_be_large,
    needs_json,
    plain,
    read_entries,
    read_varint,
    varint,
)

# Tags of what is in a point: Qdrant gives it out as a RetrievedPoint and takes it as a PointStruct.
_ID, _RETRIEVED_PAYLOAD, _PAYLOAD, _VECTORS = 0x0A, 0x12, 0x1A, 0x22
# Of what is in vectors: one without a name, or those that have one.
_UNNAMED, _NAMED = 0x0A, 0x12
_ENTRY = b"\x0a"

# Hashing more at once hands the interpreter to another thread and has to get it back.
_HASHED_AT_ONCE = 2047


class EncodedPoint:
    """What an upsert takes, in one spelling: equal points have equal bytes.

    `payload` has the values of the top level, encoded. `only_json` says that it can only travel as
    JSON (see `values.needs_json`).
    """

    __slots__ = ("_encoded", "_id", "_vectors", "only_json", "payload")

    def __init__(
        self, id: bytes, payload: dict[str, Any], vectors: bytes, *, only_json: bool = False
    ) -> None:
        self._id = id
        self.payload = payload
        self._vectors = vectors
        self._encoded: bytes | None = None
        self.only_json = only_json

    @classmethod
    def of(cls, point: Point) -> EncodedPoint:
        """Raises InvalidRequest for text that is no Unicode, which a server does not take."""
        try:
            payload = Fields({key: encode(value) for key, value in point.payload.items()})
            return cls(
                encode_id(point.id),
                payload,
                _encode_vectors(point.vectors),
                only_json=needs_json(point.payload, -1),
            )
        except UnicodeEncodeError:
            raise InvalidRequest(
                f"The payload of point {point.id} holds half a surrogate pair, which is no text; "
                "correct it in the source."
            ) from None

    @property
    def id(self) -> PointId:
        return decode_id(self._id)

    @property
    def encoded(self) -> bytes:
        """A `PointStruct`."""
        if self._encoded is None:
            payload = encode_entries(_PAYLOAD, self.payload)
            head = bytes((_ID,)) + varint(len(self._id)) + self._id
            tail = bytes((_VECTORS,)) + varint(len(self._vectors)) + self._vectors
            self._encoded = head + payload + tail
        return self._encoded

    def replace_payload(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self._encoded = None

    def digest(self, *, vectors: bool = True) -> int:
        """128 bits over id, payload and, if wanted, every vector."""
        encoded = self.encoded
        if not vectors:
            behind = 1 + len(varint(len(self._vectors))) + len(self._vectors)
            encoded = encoded[: len(encoded) - behind]
        hasher = blake2b(encoded[:_HASHED_AT_ONCE], digest_size=16)
        for at in range(_HASHED_AT_ONCE, len(encoded), _HASHED_AT_ONCE):
            hasher.update(encoded[at : at + _HASHED_AT_ONCE])
        return int.from_bytes(hasher.digest(), "little")

    def plain(self) -> Point:
        """The point as values of Python, which takes far longer than all of the above."""
        vectors = {name: _plain_vector(raw) for name, raw in _vectors_of(self._vectors).items()}
        return Point(self.id, vectors, plain(self.payload))


@dataclass(frozen=True)
class EncodedPage:
    """Points in the store's id order (integers ascending, then UUIDs); `next` continues.

    `bytes` is how much the server sent for it, 0 where that is not known.
    """

    points: list[EncodedPoint]
    next: PointId | None
    bytes: int = 0


def received(retrieved: bytes) -> EncodedPoint:
    """A `RetrievedPoint`, in its one spelling.

    `only_json`: it may hold an integer that the server has given out as a float, so it has to be
    read again as JSON.
    """
    id = vectors = b""
    payload = Fields()
    for tag, contents in read_entries(retrieved, 0, _RETRIEVED_PAYLOAD, payload):
        if tag == _ID:
            id = contents
        elif tag == _VECTORS:
            vectors = contents
    uncertain = any(
        may_be_large(value) for value in payload.values() if value and value[0] in NOT_SURE
    )
    if vectors[:1] != b"\x0a":
        vectors = _one_spelling(vectors)
    return EncodedPoint(id, payload, vectors, only_json=uncertain)


def _one_spelling(vectors: bytes) -> bytes:
    """Named vectors come in any order."""
    named = _vectors_of(vectors)
    if len(named) == 1:
        return vectors
    return _join_named(named)


def _join_named(named: dict[str, bytes]) -> bytes:
    parts: list[bytes] = []
    for name in sorted(named):
        join_entry(parts, _ENTRY, name, named[name])
    body = b"".join(parts)
    return bytes((_NAMED,)) + varint(len(body)) + body


def _vectors_of(vectors: bytes) -> dict[str, bytes]:
    """Encoded vectors by name."""
    found: dict[str, bytes] = {}
    for tag, contents in fields_of(vectors):
        if tag == _UNNAMED:
            found[""] = contents
        else:
            read_entries(contents, 0, _UNNAMED, found)
    return found


def encode_id(point_id: PointId) -> bytes:
    """A `PointId` of Qdrant's. Takes canonical ids only."""
    if isinstance(point_id, str):
        return b"\x12\x24" + point_id.encode("ascii")
    return b"\x08" + varint(point_id)


def decode_id(encoded: bytes) -> PointId:
    if encoded[0] == 0x12:
        return encoded[2:].decode("ascii")
    return read_varint(encoded, 1)[0]


def _encode_vectors(vectors: dict[str, Vector]) -> bytes:
    if vectors.keys() == {""}:
        unnamed = _encode_vector(vectors[""])
        return bytes((_UNNAMED,)) + varint(len(unnamed)) + unnamed
    return _join_named({name: _encode_vector(vector) for name, vector in vectors.items()})


def _encode_vector(vector: Vector) -> bytes:
    message: Any
    if isinstance(vector, dict):
        entries = sorted(zip(vector["indices"], vector["values"], strict=True))
        sparse = wire.Sparse(indices=[i for i, _ in entries], values=[v for _, v in entries])
        message = wire.Vector(sparse=sparse)
    elif vector and isinstance(vector[0], list):
        rows = [wire.Dense(data=float32_bytes(row)) for row in vector if isinstance(row, list)]
        message = wire.Vector(multi=wire.Multi(vectors=rows))
    else:
        message = wire.Vector(dense=wire.Dense(data=float32_bytes(vector)))
    return bytes(message.SerializeToString())


def _plain_vector(encoded: bytes) -> Vector:
    vector = wire.Vector.FromString(encoded)
    if vector.HasField("sparse"):
        sparse = vector.sparse
        return {"indices": list(sparse.indices), "values": list(sparse.values)}
    if vector.HasField("multi"):
        return [_floats(row.data) for row in vector.multi.vectors]
    return _floats(vector.dense.data)


def _floats(data: bytes) -> list[float]:
    floats: list[float] = np.frombuffer(data, dtype="<f4").tolist()
    return floats
