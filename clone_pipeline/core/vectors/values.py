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

_NULL, _DOUBLE, _INTEGER, _STRING, _BOOL, _STRUCT, _LIST = 0x08, 0x11, 0x18, 0x22, 0x28, 0x32, 0x3A
# An integer beyond 64 bits with a sign: JSON has it, Qdrant's `Value` has not. This field, which no
# `Value` uses, holds its digits for digests; the integer itself has to travel as JSON.
_LARGE = 0x7A
_NULL_VALUE = bytes((_NULL, 0))
_NESTED = frozenset((_STRUCT, _LIST))
# Of these `may_be_large` may have something to say.
NOT_SURE = frozenset((_DOUBLE, _STRUCT, _LIST))
# Field 1 of a message, with a length: an entry of an object, an item of a list, a key.
_FIRST, _SECOND = 0x0A, 0x12

# The server gives such integers out as floats, the last of them as 2.0**64: one from 2.0**63 to
# that may be one.
_MAY_BE_LARGE = re.compile(rb"\x11(?:.{6}[\xe0-\xef]|\0{6}\xf0)\x43", re.DOTALL)

# An item of a list that is an object.
_MAY_HOLD_OBJECT = re.compile(rb"\x0a[\x80-\xff]*[\x00-\x7f]\x32")

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
        if _is_large(value):
            return _sized(_LARGE, str(value).encode())
        return bytes((_INTEGER,)) + varint(value & (2**64 - 1))
    if isinstance(value, float):
        return bytes((_DOUBLE,)) + struct.pack("<d", value)
    raise TypeError(f"not a JSON value: {value!r}")


def encode_entries(tag: int, fields: dict[str, Any]) -> bytes:
    """The entries of a map from text to values, sorted by key, each as a field of that tag."""
    parts: list[bytes] = []
    for key in sorted(fields):
        value = _raw(fields, key)
        if type(value) is not bytes:
            value = encode(value)
        elif not value or value[0] in _NESTED:
            value = canonical(value)
        join_entry(parts, _TAGS[tag], key, value)
    return b"".join(parts)


def join_entry(parts: list[bytes], tag: bytes, key: str, value: bytes) -> None:
    """Adds one entry of a map, in parts."""
    name = _names.get(key) or _name(key)
    length = len(value)
    size = _VARINTS[length] if length < _SHORT else _write_varint(length)
    length += len(name) + len(size)
    whole = _VARINTS[length] if length < _SHORT else _write_varint(length)
    parts += (tag, whole, name, size, value)


def _name(key: str) -> bytes:
    """A key of a map, and the tag of the value that follows."""
    name = _sized(_FIRST, key.encode()) + _TAGS[_SECOND]
    _remember(_names, key, name)
    return name


def decode(encoded: bytes) -> Any:
    """The value; an object as `Fields`, a list with everything in it decoded."""
    kind = encoded[0] if encoded else _NULL
    if kind == _STRING:
        return encoded[_start(encoded) :].decode()
    if kind == _STRUCT:
        found = Fields()
        read_entries(encoded, _start(encoded), _FIRST, found)
        return found
    if kind == _LIST:
        return [plain(item) for _, item in fields_of(encoded, _start(encoded))]
    if kind == _DOUBLE:
        return struct.unpack_from("<d", encoded, 1)[0]
    return _decode_integer(kind, encoded)


def _decode_integer(kind: int, encoded: bytes) -> int | bool | None:
    if kind == _NULL:
        return None
    if kind == _LARGE:
        return int(encoded[_start(encoded) :])
    number, _ = read_varint(encoded, 1)
    if kind == _BOOL:
        return bool(number)
    if kind == _INTEGER and number >= 2**63:
        return number - 2**64
    return number


def read_entries(
    message: bytes, at: int, tag: int, into: dict[str, bytes]
) -> list[tuple[int, bytes]]:
    """Reads a message from `at` on: the entries of the map that has this tag, into a dictionary.

    Returns (tag, contents) of the other fields, all of which have a length. Written out, because
    it is done for every object of every payload.
    """
    others = []
    end = len(message)
    while at < end:
        kind, size = message[at], message[at + 1]
        at += 2
        if size > 0x7F:
            size, at = read_varint(message, at - 1)
        until = at + size
        if kind != tag:
            others.append((kind, message[at:until]))
        else:
            length = message[at + 1] if size else 0
            colon = at + 2 + length  # where the key ends
            if length < 0x80 and colon + 1 < until and message[at] == _FIRST:
                value = colon + 2 if message[colon + 1] < 0x80 else _end(message, colon + 1)
                into[message[at + 2 : colon].decode()] = message[value:until]
            else:  # an empty key or value may be left out
                parts = dict(fields_of(message[at:until]))
                into[parts.get(_FIRST, b"").decode()] = parts.get(_SECOND, b"")
        at = until
    return others


def fields_of(message: bytes, at: int = 0) -> list[tuple[int, bytes]]:
    """(tag, contents) of every field of a message from `at` on, all of which have a length."""
    return read_entries(message, at, -1, {})


def plain(value: Any) -> Any:
    """The value with nothing in it encoded any more."""
    if type(value) is bytes:
        value = decode(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def canonical(encoded: bytes) -> bytes:
    """The one spelling of a value that a server gave, in which objects have any order.

    By hand: protobuf promises no order that lasts, and where one key begins with another it sorts
    the longer one first.
    """
    kind = encoded[0] if encoded else _NULL
    if kind == _STRUCT:
        return _sized(_STRUCT, _sorted_entries(encoded, _start(encoded)))
    if kind == _LIST and _MAY_HOLD_OBJECT.search(encoded) is not None:
        items = fields_of(encoded, _start(encoded))
        return _sized(_LIST, b"".join([_sized(_FIRST, canonical(item)) for _, item in items]))
    return encoded or _NULL_VALUE


def _sorted_entries(message: bytes, at: int) -> bytes:
    """The entries of an object, by key. Those that hold no others are moved as they are."""
    found = {}
    end = len(message)
    while at < end:
        start, size, at = at, message[at + 1], at + 2
        if size > 0x7F:
            size, at = read_varint(message, at - 1)
        until = at + size
        length = message[at + 1] if size else 0
        colon = at + 2 + length  # where the key ends
        value = colon + 2
        if length < 0x80 and value < until and message[at] == _FIRST:
            if message[colon + 1] > 0x7F:
                value = _end(message, colon + 1)
            key, inner = message[at + 2 : colon], message[value:until]
            whole = message[start:until]
        else:  # an empty key or value may be left out
            parts = dict(fields_of(message[at:until]))
            key, inner, whole = parts.get(_FIRST, b""), parts.get(_SECOND, b""), b""
        if not whole or inner[0] in _NESTED:
            whole = _sized(_FIRST, _sized(_FIRST, key) + _sized(_SECOND, canonical(inner)))
        found[key] = whole
        at = until
    return b"".join([found[key] for key in sorted(found)])


def may_be_large(encoded: bytes) -> bool:
    """Whether it may hold an integer that this encoding cannot tell from a float."""
    kind = encoded[0] if encoded else _NULL
    if kind == _DOUBLE:
        return _MAY_BE_LARGE.match(encoded) is not None
    return kind in (_STRUCT, _LIST) and _MAY_BE_LARGE.search(encoded) is not None


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


# Ids, names and field names come again and again. A memo that grows beyond this starts anew, and
# what is longer than any of them is somebody's text, of which thousands would fill the memory.
_MEMO = 8192
_LONGEST_KEPT = 256
_texts: dict[bytes, str] = {}
_encoded_texts: dict[str, bytes] = {}
_names: dict[str, bytes] = {}


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> None:
    if len(key) > _LONGEST_KEPT:
        return
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
