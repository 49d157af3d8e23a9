"""Payload values in Qdrant's protobuf encoding, with one spelling for each value.

The spelling is the encoding itself (`Value` of `json_with_int.proto`) with the entries of every
object sorted by key: equal bytes mean equal values. `1` and `1.0` are two values, `true` is a
third, the order of a list counts and that of an object does not.

Objects are taken apart and put together here, by hand: in Python that is faster than through
protobuf's own maps, and leaves alone what nobody looks at.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from google.protobuf.message import DecodeError

from . import wire

_NULL, _DOUBLE, _INTEGER, _STRING, _BOOL, _STRUCT, _LIST = 0x08, 0x11, 0x18, 0x22, 0x28, 0x32, 0x3A
# An integer from 2**63: JSON has it, Qdrant's `Value` has not. This field, which no `Value` uses,
# stands for it in digests; the integer itself has to travel as JSON.
_LARGE = 0x78
_NULL_VALUE = bytes((_NULL, 0))
# Field 1 of a message, with a length: an entry of an object, an item of a list, a key.
_FIRST, _SECOND = 0x0A, 0x12

# The server gives such integers out as floats: one in that range may be one.
_MAY_BE_LARGE = re.compile(rb"\x11.{6}[\xe0-\xef]\x43", re.DOTALL)

# Protobuf decoders take 100 messages within each other, and an object within an object is three.
_DEEPEST = 30


class Fields(dict[str, Any]):
    """An object whose values stay encoded, as `bytes`, until they are looked at.

    Reading an item decodes it; iterating gives what is there, encoded or not.
    """

    def __getitem__(self, key: str) -> Any:
        value = _raw(self, key)
        if type(value) is bytes:
            return _texts.get(value) or self._decoded(key, value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default

    def copy(self) -> Fields:
        return Fields(self)

    def _decoded(self, key: str, encoded: bytes) -> Any:
        value = decode(encoded)
        if type(value) is Fields:
            self[key] = value  # what is looked at again is the same object
        elif type(value) is str:
            _remember(_texts, encoded, value)
        return value


_raw = dict.__getitem__


def encode(value: Any) -> bytes:
    """A JSON value, or one out of `Fields`, in its one spelling. Raises TypeError for others."""
    kind = type(value)
    if kind is str:
        return _encode_text(value)
    if kind is bytes:
        return canonical(value)
    if isinstance(value, dict):
        return _sized(_STRUCT, encode_entries(_FIRST, value))
    if kind is list:
        return _sized(_LIST, b"".join([_sized(_FIRST, encode(item)) for item in value]))
    return _encode_scalar(value)


def _encode_text(text: str) -> bytes:
    encoded = _encoded_texts.get(text)
    if encoded is None:
        encoded = _sized(_STRING, text.encode())
        _remember(_encoded_texts, text, encoded)
    return encoded


def _encode_scalar(value: Any) -> bytes:
    if value is None:
        return _NULL_VALUE
    if isinstance(value, bool):
        return bytes((_BOOL, value))
    if isinstance(value, int):
        tag = _INTEGER if value < 2**63 else _LARGE
        return bytes((tag,)) + varint(value & (2**64 - 1))
    if isinstance(value, float):
        return bytes((_DOUBLE,)) + struct.pack("<d", value)
    raise TypeError(f"not a JSON value: {value!r}")


def encode_entries(tag: int, fields: dict[str, Any]) -> bytes:
    """The entries of a map from text to values, sorted by key, each as a field of that tag."""
    parts: list[bytes] = []
    for key in sorted(fields):
        value = _raw(fields, key)
        join_entry(parts, tag, key, canonical(value) if type(value) is bytes else encode(value))
    return b"".join(parts)


def join_entry(parts: list[bytes], tag: int, key: str, value: bytes) -> None:
    """Adds one entry of a map, in parts."""
    name = _names.get(key)
    if name is None:
        name = _sized(_FIRST, key.encode()) + _TAGS[_SECOND]
        _remember(_names, key, name)
    size = varint(len(value))
    parts += (_TAGS[tag], varint(len(name) + len(size) + len(value)), name, size, value)


def decode(encoded: bytes) -> Any:
    """The value; an object as `Fields`, a list with everything in it decoded."""
    kind = encoded[0] if encoded else _NULL
    if kind == _STRING:
        return encoded[_start(encoded) :].decode()
    if kind == _STRUCT:
        return Fields(decode_entry(entry) for _, entry in fields_of(encoded[_start(encoded) :]))
    if kind == _LIST:
        return [plain(item) for _, item in fields_of(encoded[_start(encoded) :])]
    if kind == _DOUBLE:
        return struct.unpack_from("<d", encoded, 1)[0]
    return _decode_integer(kind, encoded)


def _decode_integer(kind: int, encoded: bytes) -> int | bool | None:
    if kind == _NULL:
        return None
    number, _ = read_varint(encoded, 1)
    if kind == _BOOL:
        return bool(number)
    if kind == _INTEGER and number >= 2**63:
        return number - 2**64
    return number


def decode_entry(entry: bytes) -> tuple[str, bytes]:
    """Key and encoded value of an entry of a map; either may be left out where it is empty."""
    size = entry[1] if entry else 0
    if size < 0x80 and len(entry) > size + 3 and entry[0] == _FIRST:
        at = size + 3
        start = at + 1 if entry[at] < 0x80 else _end(entry, at)
        return entry[2 : size + 2].decode(), entry[start:]
    parts = dict(fields_of(entry))
    return parts.get(_FIRST, b"").decode(), parts.get(_SECOND, b"")


def fields_of(message: bytes) -> list[tuple[int, bytes]]:
    """(tag, contents) of every field of a message, all of which have a length."""
    found = []
    at, end = 0, len(message)
    while at < end:
        tag, size = message[at], message[at + 1]
        at += 2
        if size > 0x7F:
            size, at = read_varint(message, at - 1)
        found.append((tag, message[at : at + size]))
        at += size
    return found


def plain(value: Any) -> Any:
    """The value with nothing in it encoded any more."""
    if type(value) is bytes:
        value = decode(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def canonical(encoded: bytes) -> bytes:
    """The one spelling of a value that a server gave, in which objects have any order."""
    if not encoded:
        return _NULL_VALUE
    if encoded[0] != _STRUCT and (encoded[0] != _LIST or _STRUCT not in encoded):
        return encoded
    try:
        return bytes(wire.WholeValue.FromString(encoded).SerializeToString(deterministic=True))
    except DecodeError:  # too deep for it
        return encode(plain(encoded))


def may_be_large(encoded: bytes) -> bool:
    """Whether it may hold an integer that this encoding cannot tell from a float."""
    kind = encoded[0] if encoded else _NULL
    if kind == _DOUBLE:
        return encoded[8] == 0x43 and encoded[7] >= 0xE0 and encoded[7] <= 0xEF
    return kind in (_STRUCT, _LIST) and _MAY_BE_LARGE.search(encoded) is not None


def needs_json(value: Any, depth: int = 0) -> bool:
    """Whether a JSON value cannot travel in this encoding: a large integer, or nested too deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return isinstance(value, int) and value >= 2**63
    return depth == _DEEPEST or any(needs_json(item, depth + 1) for item in value)


def varint(number: int) -> bytes:
    """A number from 0 as protobuf writes it."""
    if number < _SHORT:
        return _VARINTS[number]
    return _write_varint(number)


def _write_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# Ids, names and field names come again and again. A memo that grows beyond this starts anew.
_MEMO = 8192
_texts: dict[bytes, str] = {}
_encoded_texts: dict[str, bytes] = {}
_names: dict[str, bytes] = {}


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memo) >= _MEMO:
        memo.clear()
    memo[key] = value


# Sizes of nearly everything.
_SHORT = 4096
_VARINTS = tuple(_write_varint(number) for number in range(_SHORT))
_TAGS = tuple(bytes((tag,)) for tag in range(256))


def _sized(tag: int, body: bytes) -> bytes:
    return _TAGS[tag] + varint(len(body)) + body


def _start(encoded: bytes) -> int:
    """Where the contents begin, after a tag and a size."""
    return 2 if encoded[1] < 0x80 else _end(encoded, 1)


def _end(encoded: bytes, at: int) -> int:
    """Where the number that begins at `at` ends."""
    while encoded[at] > 0x7F:
        at += 1
    return at + 1


def read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = encoded[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
