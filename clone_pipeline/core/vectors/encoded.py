"""A point in the encoding in which it travels: nothing is decoded that nobody looks at.

All bulk work is done with these: copying, digests, comparing. Every store reads and writes them; a
server over gRPC does so without ever turning a vector into numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..depth import MAX_DEPTH, is_too_deep
from ..errors import InvalidRequest
from ..references import Found, Rewriter
from . import wire
from .digest import float32_bytes
from .payload import PAYLOAD, PROTOBUF_SORTS, Payload, value_at
from .point import Point, PointId, Vector
from .settle import settle_entries
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

# Tags of what is in a point: Qdrant gives it out as a RetrievedPoint and takes it as a PointStruct,
# which differ in this one, and in an upsert.
_ID, _RETRIEVED_PAYLOAD, _VECTORS = 0x0A, 0x12, 0x22
_PAYLOAD_TAG, _POINT_TAG = bytes((PAYLOAD,)), b"\x1a"
# Of what is in vectors: one without a name, or those that have one.
_UNNAMED, _NAMED = 0x0A, 0x12
_ENTRY = 0x0A
# Of what is in a page, and in an answer to ids; the low bits say how long it is.
_NEXT, _RESULT = 0x0A, 0x12
_GOT = 0x0A
_FIXED64, _SIZED = 1, 2

_DECODED_AT_ONCE = 32
# Hashing more at once hands the interpreter to another thread and has to get it back.
_HASHED_AT_ONCE = 2047


class EncodedPoint:
    """What an upsert takes, in one spelling: equal points have equal bytes.

    `only_json` says that it can only travel as JSON (see `values.needs_json`).
    """

    __slots__ = ("_encoded", "_id", "_payload", "_vectors", "only_json")

    def __init__(
        self,
        id: bytes,
        payload: dict[str, Any] | Payload,
        vectors: bytes,
        *,
        only_json: bool = False,
    ) -> None:
        self._id = id
        self._payload: dict[str, Any] | Payload | None = payload
        self._vectors = vectors
        self._encoded: bytes | None = None
        self.only_json = only_json

    @classmethod
    def of(cls, point: Point) -> EncodedPoint:
        """Raises InvalidRequest for a payload that is deeper than any of ours may be."""
        only_json = needs_json(point.payload, -1)
        if only_json and is_too_deep(point.payload):
            raise InvalidRequest(
                f"The payload of point {point.id} is nested more than {MAX_DEPTH} deep; correct it "
                "in the source."
            )
        return cls(
            encode_id(point.id), point.payload, _encode_vectors(point.vectors), only_json=only_json
        )

    @property
    def id(self) -> PointId:
        return decode_id(self._id)

    @property
    def payload(self) -> dict[str, Any] | Payload:
        """To be looked at."""
        if self._payload is None:
            self._payload = Payload.of(self.encoded)
        return self._payload

    @property
    def encoded(self) -> bytes:
        """A `PointStruct`. Raises InvalidRequest for text that is no Unicode, which no server
        takes."""
        if self._encoded is None:
            id, vectors = self._id, self._vectors
            head = bytes((_ID, len(id))) + id
            behind = bytes((_VECTORS,)) + varint(len(vectors))
            self._encoded = b"".join((head, self._encode_payload(), behind, vectors))
            if isinstance(self._payload, Payload):
                # Rarely asked for again, and it holds twice the memory that the bytes do.
                self._payload = None
        return self._encoded

    @property
    def payload_end(self) -> int:
        """Where in `encoded` the payload ends."""
        size = len(self._vectors)
        return len(self.encoded) - 1 - len(varint(size)) - size

    def plain_payload(self) -> dict[str, Any]:
        """The payload as values of Python."""
        payload = self.payload
        return payload.plain() if isinstance(payload, Payload) else payload

    def _encode_payload(self) -> bytes:
        payload = self.payload
        if isinstance(payload, Payload):
            return payload.encode()
        try:
            return encode_entries(PAYLOAD, payload)
        except UnicodeEncodeError:
            raise InvalidRequest(
                f"The payload of point {self.id} holds half a surrogate pair, which is no text; "
                "correct it in the source."
            ) from None

    def with_payload(self, payload: dict[str, Any]) -> EncodedPoint:
        """The same id and vectors with another payload."""
        only_json = needs_json(payload, -1)
        return EncodedPoint(self._id, payload, self._vectors, only_json=only_json)

    @property
    def collection(self) -> str:
        """The collection it belongs to, in either payload layout; "" where it says none."""
        payload = self.payload
        named = value_at(payload, "collection_id")
        if named and isinstance(named, str):
            return named
        named = value_at(value_at(payload, "_internal"), "collection_id")
        return named if isinstance(named, str) else ""

    def rewrite(self, rewriter: Rewriter) -> Found:
        """Makes it the clone's point. Returns the references that were found in it."""
        self._payload, references = rewriter.rewrite_payload(self.payload)
        self._encoded = None
        return references

    def references(self, rewriter: Rewriter) -> Found:
        """What `rewrite` would return; the point stays as it is."""
        payload = self._payload
        if payload is None:
            payload = Payload.of(self.encoded)
        elif isinstance(payload, Payload):
            payload = payload.copy()
        return rewriter.rewrite_payload(payload)[1]

    def digest(self, *, settled: bool = False) -> int:
        """128 bits over id, payload and every vector. `settled`: with the floats of the payload as
        a server keeps them in the end."""
        encoded = memoryview(self._settled() if settled else self.encoded)
        hasher = blake2b(encoded[:_HASHED_AT_ONCE], digest_size=16)
        for at in range(_HASHED_AT_ONCE, len(encoded), _HASHED_AT_ONCE):
            hasher.update(encoded[at : at + _HASHED_AT_ONCE])
        return int.from_bytes(hasher.digest(), "little")

    def _settled(self) -> bytes:
        whole, start, end = self.encoded, 2 + len(self._id), self.payload_end
        entries = whole[start:end]
        kept = settle_entries(entries)
        return whole if kept is entries else b"".join((whole[:start], kept, whole[end:]))

    def plain(self) -> Point:
        """The point as values of Python, which takes far longer than all of the above."""
        vectors = {name: _plain_vector(raw) for name, raw in _vectors_of(self._vectors).items()}
        return Point(self.id, vectors, self.plain_payload())


@dataclass(frozen=True)
class EncodedPage:
    """`count` points in the store's id order (integers ascending, then UUIDs); `next` continues.

    `points` can be gone through once: each is decoded when its turn comes, so that what it takes
    is not in memory for the whole page. `bytes` is how much the server sent for the page, 0 where
    that is not known.
    """

    points: Iterable[EncodedPoint]
    count: int
    next: PointId | None
    bytes: int = 0


def split_page(answer: bytes) -> tuple[list[bytes], PointId | None]:
    """A `ScrollResponse`: its points, as `received` takes them, and the id that comes next."""
    points = []
    following = None
    for tag, field, contents in _fields(answer):
        if tag == _RESULT:
            points.append(field)
        elif tag == _NEXT:
            following = decode_id(contents)
    return points, following


def split_points(answer: bytes) -> list[bytes]:
    """A `GetResponse`: its points, as `received` takes them."""
    return [field for tag, field, _ in _fields(answer) if tag == _GOT]


def _fields(answer: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, the whole field, and its contents, of every field that has a length."""
    at, end = 0, len(answer)
    while at < end:
        tag, start = answer[at], at
        if tag & 7 == _FIXED64:
            at += 9
            continue
        size, at = read_varint(answer, at + 1)
        if tag & 7 == _SIZED:
            at += size
            yield tag, answer[start:at], answer[at - size : at]


def received(result: bytes) -> EncodedPoint:
    """One result of a `ScrollResponse` or a `GetResponse`, in its one spelling.

    `only_json`: it has to be read again as JSON, because it may hold an integer that the server has
    given out as a float, or is nested too deep for protobuf.
    """
    _, at = read_varint(result, 1)
    id = vectors = b""
    payload: list[bytes] = []
    end = len(result)
    while at < end:
        tag, start = result[at], at
        size, at = read_varint(result, at + 1)
        at += size
        if tag == _RETRIEVED_PAYLOAD:
            payload += (_PAYLOAD_TAG, result[start + 1 : at])
        elif tag == _VECTORS:
            vectors = result[at - size : at]
        elif tag == _ID:
            id = result[at - size : at]
    if vectors[:1] != b"\x0a":
        vectors = _one_spelling(vectors)
    try:
        # Decoders count how many messages are within each other: as many as in an upsert.
        entries = b"".join(payload)
        upsert = b"".join((_POINT_TAG, varint(len(entries)), entries))
        message = wire.UpsertPoints.FromString(upsert).point
    except DecodeError:
        return EncodedPoint(id, {}, vectors, only_json=True)
    return EncodedPoint(id, Payload(message, entries), vectors, only_json=may_be_large(entries))


def decoded(
    results: Sequence[bytes], read_json: Callable[[list[PointId]], dict[PointId, Point]]
) -> Iterator[EncodedPoint]:
    """Results as points, a few at a time; the payloads of those that are `only_json` as `read_json`
    has them. What it does not find was deleted since, and is left out."""
    for start in range(0, len(results), _DECODED_AT_ONCE):
        points = [received(result) for result in results[start : start + _DECODED_AT_ONCE]]
        uncertain = [point.id for point in points if point.only_json]
        exact = read_json(uncertain) if uncertain else {}
        for point in points:
            if not point.only_json:
                yield point
            elif point.id in exact:
                yield point.with_payload(exact[point.id].payload)


def _one_spelling(vectors: bytes) -> bytes:
    """Named vectors come in any order."""
    if _is_one(vectors):
        return vectors
    if not PROTOBUF_SORTS:
        return _join_named(_vectors_of(vectors))
    _, start = read_varint(vectors, 1) if vectors else (0, 0)
    named = wire.NamedVectors.FromString(vectors[start:])
    return _named(named.SerializeToString(deterministic=True))


def _is_one(vectors: bytes) -> bool:
    """Whether it is a single one with a name, as it mostly is."""
    if len(vectors) < 4 or vectors[0] != _NAMED:
        return False
    _, start = read_varint(vectors, 1)
    if start == len(vectors):
        return False
    size, first = read_varint(vectors, start + 1)
    return first + size == len(vectors)


def _join_named(named: dict[str, bytes]) -> bytes:
    return _named(join_entries(_ENTRY, named))


def _named(body: bytes) -> bytes:
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
