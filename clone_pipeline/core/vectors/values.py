"""JSON values in Qdrant's protobuf encoding, with one spelling for each value.

The spelling is the encoding itself (`Value` of `json_with_int.proto`) with the entries of every
object in one order: equal bytes mean equal values. `1` and `1.0` are two values, `true` is a third,
the order of a list counts and that of an object does not.

The order is that of protobuf's own deterministic serialization in C, by which points from a server
are spelled: keys as UTF-8, and where one begins with another, the longer one first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

_NULL, _DOUBLE, _INTEGER, _STRING, _BOOL, _STRUCT, _LIST = 0x08, 0x11, 0x18, 0x22, 0x28, 0x32, 0x3A
# An integer beyond 64 bits with a sign: JSON has it, Qdrant's `Value` has not. This field, which no
# `Value` uses, holds its digits for digests; the integer itself has to travel as JSON.
_LARGE = 0x7A
# Field 1 of a message, with a length: an entry of an object, an item of a list, a key.
_FIRST, _SECOND = 0x0A, 0x12

# The server gives such integers out as floats, the last of them as 2.0**64: one from 2.0**63 to
# that may be one.
_MAY_BE_LARGE = re.compile(rb"\x11(?:.{6}[\xe0-\xef]|\0{6}\xf0)\x43", re.DOTALL)

# Protobuf decoders take 100 messages within each other, and an object within an object is three.
_DEEPEST = 30


def encode(value: Any) -> bytes:
    """A JSON value in its one spelling. Raises TypeError for others."""
    kind = type(value)
    if kind is str:
        return _sized(_STRING, value.encode())
    if kind is dict:
        return _sized(_STRUCT, encode_entries(_FIRST, value))
    if kind is list:
        return _sized(_LIST, b"".join([_sized(_FIRST, encode(item)) for item in value]))
    return _encode_scalar(value)


def _encode_scalar(value: Any) -> bytes:
    if value is None:
        return bytes((_NULL, 0))
    if isinstance(value, bool):
        return bytes((_BOOL, value))
    if isinstance(value, int):
        if _is_large(value):
            return _sized(_LARGE, str(value).encode())
        return bytes((_INTEGER,)) + varint(value & (2**64 - 1))
    if isinstance(value, float):
        return bytes((_DOUBLE,)) + struct.pack("<d", value)
    raise TypeError(f"not a JSON value: {value!r}")


def encode_entries(tag: int, values: Mapping[str, Any]) -> bytes:
    """The entries of a map from text to JSON values, in order, each as a field of that tag."""
    return join_entries(tag, {key: encode(value) for key, value in values.items()})


def join_entries(tag: int, encoded: Mapping[str, bytes]) -> bytes:
    """The same from values that are encoded."""
    parts = []
    for name in sorted([key.encode() + b"\xff" for key in encoded]):
        key = name[:-1]
        entry = _sized(_FIRST, key) + _sized(_SECOND, encoded[key.decode()])
        parts.append(_sized(tag, entry))
    return b"".join(parts)


def read_entries(message: bytes) -> dict[str, bytes]:
    """The entries of a message that has nothing but a map, undecoded."""
    found = {}
    for _, entry in fields_of(message):
        # An empty key or value may be left out.
        parts = dict(fields_of(entry))
        found[parts.get(_FIRST, b"").decode()] = parts.get(_SECOND, b"")
    return found


def fields_of(message: bytes) -> list[tuple[int, bytes]]:
    """(tag, contents) of every field of a message, all of which have a length."""
    found = []
    at = 0
    while at < len(message):
        size, start = read_varint(message, at + 1)
        found.append((message[at], message[start : start + size]))
        at = start + size
    return found


def find_doubles(entries: bytes) -> list[int]:
    """Where the floats begin in the encoded entries of a map, at any depth."""
    found: list[int] = []
    _find_in_entries(entries, 0, len(entries), found)
    return found


def _find_in_entries(encoded: bytes, at: int, end: int, found: list[int]) -> None:
    while at < end:
        size, at = read_varint(encoded, at + 1)
        stop = at + size
        while at < stop:
            tag = encoded[at]
            size, at = read_varint(encoded, at + 1)
            if tag == _SECOND:
                _find_in_value(encoded, at, at + size, found)
            at += size


def _find_in_value(encoded: bytes, at: int, end: int, found: list[int]) -> None:
    if at == end:
        return
    tag = encoded[at]
    if tag == _DOUBLE:
        found.append(at + 1)
    elif tag in (_STRUCT, _LIST):
        size, at = read_varint(encoded, at + 1)
        if tag == _STRUCT:
            _find_in_entries(encoded, at, end, found)
        while tag == _LIST and at < end:
            size, at = read_varint(encoded, at + 1)
            _find_in_value(encoded, at, at + size, found)
            at += size


def may_be_large(encoded: bytes) -> bool:
    """Whether it may hold an integer that this encoding cannot tell from a float."""
    return _MAY_BE_LARGE.search(encoded) is not None


def needs_json(value: Any, depth: int = 0) -> bool:
    """Whether a JSON value cannot travel in this encoding: a large integer, or nested too deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return isinstance(value, int) and _is_large(value)
    return depth == _DEEPEST or any(needs_json(item, depth + 1) for item in value)


def _is_large(number: int) -> bool:
    return not -(2**63) <= number < 2**63


def varint(number: int) -> bytes:
    """A number from 0 as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _sized(tag: int, body: bytes) -> bytes:
    size = len(body)
    head = bytes((tag, size)) if size < 0x80 else bytes((tag,)) + varint(size)
    return head + body


def read_varint(encoded: bytes | bytearray, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next thing begins."""
    number = encoded[at]
    at += 1
    if number < 0x80:
        return number, at
    number &= 0x7F
    shift = 7
    while True:
        byte = encoded[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
