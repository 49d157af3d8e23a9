"""When two points are equal: one table, by store, distance, datatype and quantization.

Id and payload are always compared exactly. Vectors are compared by the first row that fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .digest import canonical, float32_bytes, vector_bytes
from .port import CollectionConfig, Point, Vector

How = Literal["exact", "normalised", "refused"]
_SPARSE = "sparse"


@dataclass(frozen=True)
class Row:
    """One line of the table. An empty tuple fits everything."""

    stores: tuple[str, ...]
    distances: tuple[str, ...]
    datatypes: tuple[str, ...]
    quantizations: tuple[str, ...]
    how: How
    tolerance: float
    reason: str


TABLE = (
    Row((), (_SPARSE,), (), (), "exact", 0.0, "sparse vectors are stored as they are"),
    Row(
        ("embedded",), ("Cosine",), (), (), "normalised", 1e-6,
        "the embedded store gives cosine vectors back normalised in the session that wrote them, "
        "and as they were written after that",
    ),
    Row(
        ("embedded",), (), (), (), "exact", 0.0,
        "the embedded store keeps float32, whatever datatype and quantization ask for",
    ),
    Row(
        ("server",), ("Cosine",), ("float16",), (), "normalised", 1e-3,
        "a float16 vector has not quite length 1, so the server normalises it again when it is "
        "written",
    ),
    Row(
        ("server",), (), ("float32", "float16", "uint8"), (), "exact", 0.0,
        "what the server gives back, it stores again unchanged; quantized vectors stand beside "
        "the originals",
    ),
    Row(
        (), (), (), (), "refused", 0.0,
        "this datatype does not give back what was written, only the server's own copy is exact",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class EqualityRule:
    """How the vectors of one collection are compared, by vector name; `sentence` says it."""

    rows: dict[str, Row]
    sentence: str

    @property
    def exact(self) -> bool:
        """Digests over vectors prove equality; else vectors have to be compared in pairs."""
        return all(row.how == "exact" for row in self.rows.values())

    @property
    def refused(self) -> list[str]:
        """Vectors that cannot be proven equal after a copy through us."""
        return [name for name, row in self.rows.items() if row.how == "refused"]


def rule(embedded: bool, config: CollectionConfig) -> EqualityRule:
    """The rule for a collection. `embedded`: one of the two stores is the embedded one."""
    store = "embedded" if embedded else "server"
    rows = {
        name: _row(store, params, config) for name, params in (config.get("vectors") or {}).items()
    }
    sparse = next(row for row in TABLE if row.distances == (_SPARSE,))
    rows |= dict.fromkeys(config.get("sparse_vectors") or {}, sparse)
    return EqualityRule(rows, _sentence(rows))


def _row(store: str, params: dict[str, Any], config: CollectionConfig) -> Row:
    quantization = params.get("quantization_config") or config.get("quantization_config") or {}
    key = (
        store,
        params["distance"],
        params.get("datatype") or "float32",
        next(iter(quantization), "none"),
    )
    return next(row for row in TABLE if _fits(row, key))


def _fits(row: Row, key: tuple[str, str, str, str]) -> bool:
    accepted = (row.stores, row.distances, row.datatypes, row.quantizations)
    return all(not any_of or value in any_of for any_of, value in zip(accepted, key, strict=True))


def _sentence(rows: dict[str, Row]) -> str:
    parts = ["Id and payload exactly"]
    for row in TABLE:
        names = ", ".join(name or '""' for name, used in rows.items() if used is row)
        if names:
            parts.append(f"{names} {_how(row)} ({row.reason})")
    return "; ".join(parts) + "."


def _how(row: Row) -> str:
    if row.how == "normalised":
        return f"within {row.tolerance:g} after normalising"
    return "exactly, as float32" if row.how == "exact" else "not at all"


def differences(expected: Point, actual: Point, rule: EqualityRule) -> list[str]:
    """The fields in which two points differ: one entry a payload field or vector; [] if equal."""
    found = [] if expected.id == actual.id else ["id"]
    if canonical(expected.payload) != canonical(actual.payload):
        found += _payload_differences("payload", expected.payload, actual.payload)
    for name in sorted(expected.vectors.keys() - actual.vectors.keys()):
        found.append(f"vector {name} missing")
    for name in sorted(actual.vectors.keys() - expected.vectors.keys()):
        found.append(f"extra vector {name}")
    for name in sorted(expected.vectors.keys() & actual.vectors.keys()):
        where = _vector_difference(expected.vectors[name], actual.vectors[name], rule.rows[name])
        if where is not None:
            found.append(f"vector {name}{where}")
    return found


def _payload_differences(path: str, expected: Any, actual: Any) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted(expected.keys() | actual.keys()):
            if key not in actual:
                yield f"{path}.{key} missing"
            elif key not in expected:
                yield f"extra {path}.{key}"
            else:
                yield from _payload_differences(f"{path}.{key}", expected[key], actual[key])
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from _payload_differences(f"{path}[{index}]", left, right)
    elif canonical(expected) != canonical(actual):
        yield path


def _vector_difference(expected: Vector, actual: Vector, row: Row) -> str | None:
    """Where the first difference is, as a suffix to the vector's name."""
    if vector_bytes(expected) == vector_bytes(actual):
        return None
    if isinstance(expected, dict) or isinstance(actual, dict):
        return _sparse_difference(expected, actual)
    left, right = _rows(expected), _rows(actual)
    if [len(part) for part in left] != [len(part) for part in right]:
        return " has another size"
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        index = _first_difference(a, b, row)
        if index is not None:
            return f"[{number}][{index}]" if _is_multi(expected) else f"[{index}]"
    return None


def _first_difference(
    expected: NDArray[np.float32], actual: NDArray[np.float32], row: Row
) -> int | None:
    if row.how == "normalised":
        apart = np.abs(_normalised(expected) - _normalised(actual)) > row.tolerance
    else:
        # The bits: -0.0 is not 0.0.
        apart = expected.view(np.uint32) != actual.view(np.uint32)
    return int(apart.argmax()) if apart.any() else None


def _normalised(values: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    length = float(np.linalg.norm(wide))
    return wide / length if length > 0 else wide


def _sparse_difference(expected: Vector, actual: Vector) -> str:
    if not (isinstance(expected, dict) and isinstance(actual, dict)):
        return " is of another kind"
    left = dict(zip(expected["indices"], expected["values"], strict=True))
    right = dict(zip(actual["indices"], actual["values"], strict=True))
    for index in sorted(left.keys() | right.keys()):
        if index not in left or index not in right:
            return f"[{index}]"
        if float32_bytes([left[index]]) != float32_bytes([right[index]]):
            return f"[{index}]"
    return ""


def _is_multi(vector: Vector) -> bool:
    return bool(vector) and isinstance(vector, list) and isinstance(vector[0], list)


def _rows(vector: Vector) -> list[NDArray[np.float32]]:
    rows: Any = vector if _is_multi(vector) else [vector]
    return [np.asarray(row, dtype=np.float32) for row in rows]
