"""What a Qdrant server makes of the floats in a payload.

It keeps payloads as JSON text: a float is written with the fewest digits that name it, and read
again by a parser that is quick and not exact (serde_json without `float_roundtrip`, serde-rs/json
#707). So a float may come back a last place off, whenever a point is written, and whenever the
server itself moves it to another segment. From about 1e-6 to 1e34 that happens once; beyond, to a
third of all floats, and up to a hundred times, until one comes back that is kept, or two or three
that take turns.

Where that ends is what a float stands for: two floats are equal when they end the same. `reread` is
the server's reading, digit for digit; nothing else here knows of it.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

from .values import find_doubles

# Up to here every whole number is a double, and so is every power of ten; one division or
# multiplication of two such is exact.
_WHOLE = 2**53
_POWER = 22
_HIGHEST_POWER = 308
_POWERS = [float(f"1e{power}") for power in range(_HIGHEST_POWER + 1)]

_DOUBLE = struct.Struct("<d")
# Where a double may stand in an encoded payload: alone in a value, which has nine bytes then. In
# truth, it may be the middle of a text.
_MAY_BE_DOUBLE = re.compile(rb"\x09\x11(?=(.{8}))", re.DOTALL)


def reread(value: float) -> float:
    """The float after the server has written and read it once."""
    if not math.isfinite(value):
        return value
    digits, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = digits.partition(".")
    significand, power = int(whole + fraction), int(exponent or 0) - len(fraction)
    if significand <= _WHOLE and -_POWER <= power <= _POWER:
        return value
    found = float(significand)
    while power < -_HIGHEST_POWER:
        found /= _POWERS[_HIGHEST_POWER]
        power += _HIGHEST_POWER
    found = found * _POWERS[power] if power >= 0 else found / _POWERS[-power]
    return math.copysign(found, value)


def settled(value: float) -> float:
    """The float that the server keeps in the end; of those that take turns, the lowest."""
    seen = [value]
    while (value := reread(value)) not in seen:
        seen.append(value)
    return min(seen[seen.index(value) :])


def settle(value: Any) -> Any:
    """A JSON value with every float in it settled."""
    if isinstance(value, float):
        return settled(value)
    if isinstance(value, dict):
        return {key: settle(item) for key, item in value.items()}
    if isinstance(value, list):
        return [settle(item) for item in value]
    return value


def settle_entries(entries: bytes) -> bytes:
    """The same of an encoded payload: the entries of a `PointStruct`, in their one spelling."""
    if all(_is_settled(raw) for raw in _MAY_BE_DOUBLE.findall(entries)):
        return entries
    found = bytearray(entries)
    for at in find_doubles(entries):
        (value,) = _DOUBLE.unpack_from(entries, at)
        _DOUBLE.pack_into(found, at, settled(value))
    return bytes(found)


def _is_settled(raw: bytes) -> bool:
    value: float = _DOUBLE.unpack(raw)[0]
    return reread(value) == value
