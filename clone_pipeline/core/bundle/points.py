"""A line of points.jsonl as a point, with every mistake named."""

from __future__ import annotations

import json
import re
from typing import Any

from ..catalog.documents import Document
from ..depth import is_too_deep, may_be_too_deep
from ..errors import InvalidRequest
from ..vectors.ids import canonical_id
from ..vectors.point import Point, PointId, Vector
from .config import Dense, VectorShapes, is_shard_key
from .files import TOO_DEEP, Wrong

_KEYS = ("id", "vector", "payload", "shard_key")
_MAX_INDEX = 2**32 - 1
_NUMBERS = {int, float}
# From here on a number is no longer the largest one of 32, and of 16 bits, but an infinity.
_BEYOND_FLOAT32 = 2.0**128 - 2.0**103
_BEYOND_FLOAT16 = 65520.0
# Qdrant adds up the squares of a cosine vector as 32-bit floats (1.18, `cosine_preprocess`). The
# first number is what the largest component may be without looking: there are at most 65,536.
_NO_LONG_COSINE = 7e16
_LONGEST_COSINE = 3.4e38
_UINT8 = frozenset(map(float, range(256)))
_MAY_BE_LARGE = re.compile(r"\d{19}")


def parse_point(document: Document, shapes: VectorShapes) -> Point:
    """The point of a line, whose `shard_key` is checked, too. Raises Wrong."""
    unknown = next((key for key in document if key not in _KEYS), None)
    if unknown is not None:
        raise Wrong(f"unknown key {unknown!r}; a point has {', '.join(_KEYS)}")
    for key in ("id", "vector"):
        if key not in document:
            raise Wrong(f"`{key}` is missing")
    _check_shard_key(document, shapes)
    return Point(
        _parse_id(document["id"]),
        _parse_vectors(document["vector"], shapes),
        _parse_payload(document.get("payload", {})),
    )


def _check_shard_key(document: Document, shapes: VectorShapes) -> None:
    if shapes.shard_keys is None:
        if "shard_key" in document:
            raise Wrong("`shard_key` is there, and `sharding_method` in qdrant.json is not custom")
    elif "shard_key" not in document:
        raise Wrong("`shard_key` is missing, and `sharding_method` in qdrant.json is custom")
    elif not is_shard_key(key := document["shard_key"]) or key not in shapes.shard_keys:
        raise Wrong(f"`shard_key` {_shown(key)} is not among `shard_keys` in qdrant.json")


def _parse_id(value: Any) -> PointId:
    try:
        return canonical_id(value)
    except InvalidRequest:
        raise Wrong(
            f"`id` {_shown(value)} is neither an unsigned 64-bit integer nor a UUID"
        ) from None


def _parse_payload(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("`payload` is not an object")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        encoded = text.encode()
    except UnicodeEncodeError:
        raise Wrong("`payload` holds half a surrogate pair, which is not text") from None
    except ValueError:
        raise Wrong("`payload` holds a number beyond what a double can hold") from None
    if _MAY_BE_LARGE.search(text) and _has_large_integer(value):
        raise Wrong(
            "`payload` holds a whole number beyond 64 bits, which Qdrant would make a float of; "
            "write it as one, or as text"
        )
    if may_be_too_deep(encoded) and is_too_deep(value):
        raise Wrong(f"`payload` {TOO_DEEP}")
    return value


def _has_large_integer(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large_integer, value.values()))
    if isinstance(value, list):
        return any(map(_has_large_integer, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _parse_vectors(value: Any, shapes: VectorShapes) -> dict[str, Vector]:
    if not isinstance(value, dict):
        raise Wrong('`vector` is not an object by vector name (an unnamed vector has the name "")')
    return {name: _parse_vector(name, vector, shapes) for name, vector in value.items()}


def _parse_vector(name: str, value: Any, shapes: VectorShapes) -> Vector:
    where = f"vector {name!r}"
    if name in shapes.dense:
        return _parse_dense(where, value, shapes.dense[name])
    if name in shapes.sparse:
        return _parse_sparse(where, value)
    if name in shapes.multi:
        if not isinstance(value, list) or not value:
            raise Wrong(f"{where} is a multivector and not a list of lists of numbers")
        shape = shapes.multi[name]
        return [
            _parse_dense(f"{where}, row {row}", item, shape)
            for row, item in enumerate(value, start=1)
        ]
    known = ", ".join(map(repr, shapes.names)) or "none"
    raise Wrong(f"{where} is not in qdrant.json, which names {known}")


def _parse_dense(where: str, value: Any, shape: Dense) -> list[float]:
    numbers = _parse_numbers(where, value)
    if len(numbers) != shape.size:
        raise Wrong(f"{where} has {len(numbers)} numbers, qdrant.json says {shape.size}")
    _check_storable(where, numbers, shape)
    return numbers


def _check_storable(where: str, numbers: list[float], shape: Dense) -> None:
    """Refuses what Qdrant would take and keep as something else."""
    if shape.datatype == "uint8":
        if not all(map(_UINT8.__contains__, numbers)):
            raise Wrong(f"{where} is uint8 and has a number that is not a whole one from 0 to 255")
        return
    largest = max(map(abs, numbers))
    if shape.datatype == "float16" and largest >= _BEYOND_FLOAT16:
        raise Wrong(f"{where} is float16 and has a number beyond 65504, the largest of 16 bits")
    if shape.distance != "Cosine" or largest < _NO_LONG_COSINE:
        return
    if sum(number * number for number in numbers) > _LONGEST_COSINE:
        raise Wrong(
            f"{where} is too long for Cosine: the squares of its numbers add up to more than a "
            "32-bit float can hold, and Qdrant would keep zeros; scale it down"
        )


def _parse_sparse(where: str, value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, dict) or set(value) != {"indices", "values"}:
        raise Wrong(f'{where} is sparse and not {{"indices": [...], "values": [...]}}')
    indices, values = value["indices"], _parse_numbers(where, value["values"])
    if not isinstance(indices, list) or not set(map(type, indices)) <= {int}:
        raise Wrong(f"{where}: `indices` is not a list of whole numbers")
    if len(indices) != len(values):
        raise Wrong(f"{where} has {len(indices)} indices and {len(values)} values")
    if indices and not (min(indices) >= 0 and max(indices) <= _MAX_INDEX):
        raise Wrong(f"{where} has an index that is no unsigned 32-bit integer")
    if len(set(indices)) < len(indices):
        raise Wrong(f"{where} has an index twice")
    return {"indices": indices, "values": values}


def _parse_numbers(where: str, value: Any) -> list[float]:
    if not isinstance(value, list) or not set(map(type, value)) <= _NUMBERS:
        raise Wrong(f"{where} is not a list of numbers")
    if value and max(map(abs, value)) >= _BEYOND_FLOAT32:
        raise Wrong(f"{where} has a number beyond what a 32-bit float can hold")
    return list(map(float, value))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
