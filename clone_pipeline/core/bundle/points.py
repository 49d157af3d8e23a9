"""A line of points.jsonl as a point, with every mistake named."""

from __future__ import annotations

import json
from typing import Any

from ..catalog.documents import Document
from ..errors import InvalidRequest
from ..vectors.ids import canonical_id
from ..vectors.port import Point, PointId, Vector
from .config import VectorShapes
from .files import Wrong

_KEYS = ("id", "vector", "payload")
_MAX_INDEX = 2**32 - 1
_MAX_FLOAT = 3.4028234663852886e38  # of 32 bits
_NUMBERS = {int, float}


def parse_point(document: Document, shapes: VectorShapes) -> Point:
    """The point of a line. Raises Wrong."""
    unknown = next((key for key in document if key not in _KEYS), None)
    if unknown is not None:
        raise Wrong(f"unknown key {unknown!r}; a point has {', '.join(_KEYS)}")
    for key in ("id", "vector"):
        if key not in document:
            raise Wrong(f"`{key}` is missing")
    return Point(
        _parse_id(document["id"]),
        _parse_vectors(document["vector"], shapes),
        _parse_payload(document.get("payload", {})),
    )


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
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise Wrong("`payload` holds half a surrogate pair, which is not text") from None
    except ValueError:
        raise Wrong("`payload` holds a number beyond what a double can hold") from None
    return value


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
        size = shapes.multi[name]
        return [
            _parse_dense(f"{where}, row {row}", item, size)
            for row, item in enumerate(value, start=1)
        ]
    known = ", ".join(map(repr, shapes.names)) or "none"
    raise Wrong(f"{where} is not in qdrant.json, which names {known}")


def _parse_dense(where: str, value: Any, size: int) -> list[float]:
    numbers = _parse_numbers(where, value)
    if len(numbers) != size:
        raise Wrong(f"{where} has {len(numbers)} numbers, qdrant.json says {size}")
    return numbers


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
    if value and max(map(abs, value)) > _MAX_FLOAT:
        raise Wrong(f"{where} has a number beyond what a 32-bit float can hold")
    return list(map(float, value))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
