"""A point in the encoding in which it travels: nothing is decoded that nobody looks at.

All bulk work is done with these: copying, digests, comparing. Every store reads and writes them; a
server over gRPC does so without ever turning a vector into numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import InvalidRequest
from ..references import Rewriter
from . import wire
from .digest import float32_bytes
from .payload import PAYLOAD, Payload, value_at
from .port import Point, PointId, Vector
from .values import (
    encode_entries,
    fields_of,
    join_entries,
    may_be_large,
    needs_json,
    read_entries,
    read_varint,
    varint,
)

# Tags of what is in a point, beside the payload.
_ID, _VECTORS = 0x0A, 0x22
# Of what is in vectors: one without a name, or those that have one.
_UNNAMED, _NAMED = 0x0A, 0x12
_ENTRY = 0x0A
# Of the only field of a `OnePoint`.
_ONE = b"\x0a"

# Hashing more at once hands the interpreter to another thread and has to get it back.
_HASHED_AT_ONCE = 2047


class EncodedPoint:
    """What an upsert takes, in one spelling: equal points have equal bytes.

    `only_json` says that it can only travel as JSON (see `values.needs_json`).
    """

    __slots__ = ("_encoded", "_id", "_vectors", "only_json", "payload")

    def __init__(
        self,
        id: bytes,
        payload: dict[str, Any] | Payload,
        vectors: bytes,
        *,
        only_json: bool = False,
    ) -> None:
        self._id = id
        self.payload = payload
        self._vectors = vectors
        self._encoded: bytes | None = None
        self.only_json = only_json

    @classmethod
    def of(cls, point: Point) -> EncodedPoint:
        return cls(
            encode_id(point.id),
            point.payload,
            _encode_vectors(point.vectors),
            only_json=needs_json(point.payload, -1),
        )

    @property
    def id(self) -> PointId:
        return decode_id(self._id)

    @property
    def encoded(self) -> bytes:
        """A `PointStruct`. Raises InvalidRequest for text that is no Unicode, which no server
        takes."""
        if self._encoded is None:
            head = bytes((_ID,)) + varint(len(self._id)) + self._id
            tail = bytes((_VECTORS,)) + varint(len(self._vectors)) + self._vectors
            self._encoded = head + self._encode_payload() + tail
        return self._encoded

    def _encode_payload(self) -> bytes:
        if isinstance(self.payload, Payload):
            return self.payload.encode()
        try:
            return encode_entries(PAYLOAD, self.payload)
        except UnicodeEncodeError:
            raise InvalidRequest(
                f"The payload of point {self.id} holds half a surrogate pair, which is no text; "
                "correct it in the source."
            ) from None

    @property
    def collection(self) -> str:
        """The collection it belongs to, in either payload layout; "" where it says none."""
        payload = self.payload
        found = value_at(payload, "collection_id")
        return str(found or value_at(value_at(payload, "_internal"), "collection_id") or "")

    def rewrite(self, rewriter: Rewriter) -> Counter[tuple[str, str]]:
        """Makes it the clone's point. Returns its references by (path, outcome)."""
        self.payload, references = rewriter.rewrite_payload(self.payload)
        self._encoded = None
        return references

    def references(self, rewriter: Rewriter) -> Counter[tuple[str, str]]:
        """What `rewrite` would return; the point stays as it is."""
        payload = self.payload
        return rewriter.rewrite_payload(
            payload.copy() if isinstance(payload, Payload) else payload
        )[1]

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
        payload = self.payload
        return Point(self.id, vectors, payload.plain() if isinstance(payload, Payload) else payload)


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

    `only_json`: it has to be read again as JSON, because it may hold an integer that the server has
    given out as a float, or is nested too deep for protobuf.
    """
    try:
        # Decoders count how many messages are within each other: as many as there will be in an
        # upsert.
        message = wire.OnePoint.FromString(_ONE + varint(len(retrieved)) + retrieved).point
    except DecodeError:
        id = next(contents for tag, contents in fields_of(retrieved) if tag == _ID)
        return EncodedPoint(id, {}, b"", only_json=True)
    id, vectors = message.id, message.vectors
    # The vectors are mostly the last of it, and need not be searched.
    text = retrieved[: -len(vectors)] if vectors and retrieved.endswith(vectors) else retrieved
    message.ClearField("id")
    message.ClearField("vectors")
    if vectors[:1] != b"\x0a":
        vectors = _one_spelling(vectors)
    return EncodedPoint(id, Payload(message), vectors, only_json=may_be_large(text))


def _one_spelling(vectors: bytes) -> bytes:
    """Named vectors come in any order."""
    named = _vectors_of(vectors)
    return vectors if len(named) == 1 else _join_named(named)


def _join_named(named: dict[str, bytes]) -> bytes:
    body = join_entries(_ENTRY, named)
    return bytes((_NAMED,)) + varint(len(body)) + body


def _vectors_of(vectors: bytes) -> dict[str, bytes]:
    """Encoded vectors by name."""
    found: dict[str, bytes] = {}
    for tag, contents in fields_of(vectors):
        found |= {"": contents} if tag == _UNNAMED else read_entries(contents)
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
