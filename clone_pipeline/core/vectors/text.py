"""A vector as JSON: in lines of a bundle, and in requests."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from typing import Any

from .point import Vector

# JSON's -0 is an integer, which has no sign; and with nine digits the largest 32-bit float is
# beyond itself.
_SPELLINGS = (("-0,", "-0.0,"), ("-0]", "-0.0]"), ("3.40282347e+38", "3.4028234663852886e+38"))


def encoded_vector(vector: Vector) -> bytes:
    """Of finite float32 values; whoever reads it gets the same ones."""
    if isinstance(vector, dict):
        indices = json.dumps(vector["indices"], separators=(",", ":")).encode()
        return b'{"indices":%b,"values":%b}' % (indices, _encoded_floats(vector["values"]))
    if vector and isinstance(vector[0], list):
        rows: list[Any] = vector
        return b"[" + b",".join(map(_encoded_floats, rows)) + b"]"
    return _encoded_floats(vector)


def _encoded_floats(values: Iterable[Any]) -> bytes:
    """Nine digits name every 32-bit float, in half the room that a double takes."""
    packed = array("f", values)
    # One format for all of them takes half the time of one for each.
    text = "[" + ("%.9g," * len(packed) % tuple(packed))[:-1] + "]"
    for spelled, meant in _SPELLINGS:
        text = text.replace(spelled, meant)
    return text.encode()
