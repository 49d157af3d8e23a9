"""When two points are equal: one table, by store, distance, datatype and quantization.

Ids are always compared exactly. Payloads and vectors are compared by the first row that fits. What
no row calls equal is a difference, however small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..difference import NOTHING, differing_places
from .digest import canonical, float32_bytes, vector_bytes
from .point import CollectionConfig, Point, Vector
from .settle import settle

How = Literal["exact", "settled", "rescaled", "normalised", "refused"]
# They stand in the table's column of distances.
_PAYLOAD, _SPARSE = "payload", "sparse"
# So many float32 to either side of the likeliest length may be the one.
_PLACES = 4


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
    Row(
        ("embedded",), (_PAYLOAD,), (), (), "exact", 0.0,
        "the embedded store keeps payloads as they are",
    ),
    Row(
        ("server",), (_PAYLOAD,), (), (), "settled", 0.0,
        "a server keeps payloads as JSON text, and its parser puts a float some last places off, "
        "less than 1e-12 of it, whenever the point is written or moved",
    ),
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
        ("server",), ("Cosine",), ("float32",), (), "rescaled", 1e-6,
        "the server normalises a vector whenever it is written, unless the squares of its "
        "numbers, added up as float32, come within 1e-6 of 1",
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
    """How the points of one collection are compared: payloads, and vectors by their name.
    `sentence` says it.

    Equal digests prove that points are equal; where digests differ, points have to be compared in
    pairs.
    """

    payload: Row
    rows: dict[str, Row]
    sentence: str

    @property
    def exact(self) -> bool:
        """Equal points have equal digests, too."""
        return all(row.how == "exact" for row in self.rows.values())

    @property
    def settled(self) -> bool:
        """Whether digests are made of payloads whose floats are settled."""
        return self.payload.how == "settled"

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
    rows |= dict.fromkeys(config.get("sparse_vectors") or {}, _first((store, _SPARSE)))
    payload = _first((store, _PAYLOAD))
    return EqualityRule(payload, rows, _sentence(payload, rows))


def _row(store: str, params: dict[str, Any], config: CollectionConfig) -> Row:
    quantization = params.get("quantization_config") or config.get("quantization_config") or {}
    datatype = params.get("datatype") or "float32"
    return _first((store, params["distance"], datatype, next(iter(quantization), "none")))


def _first(key: tuple[str, ...]) -> Row:
    return next(row for row in TABLE if _fits(row, key))


def _fits(row: Row, key: tuple[str, ...]) -> bool:
    accepted = (row.stores, row.distances, row.datatypes, row.quantizations)
    return all(not any_of or value in any_of for any_of, value in zip(accepted, key, strict=False))


def _sentence(payload: Row, rows: dict[str, Row]) -> str:
    parts = [f"Id exactly; payload {_how(payload)} ({payload.reason})"]
    for row in TABLE:
        names = ", ".join(name or '""' for name, used in rows.items() if used is row)
        if names:
            parts.append(f"{names} {_how(row)} ({row.reason})")
    return "; ".join(parts) + "."


def _how(row: Row) -> str:
    if row.how == "normalised":
        return f"within {row.tolerance:g} after normalising"
    if row.how == "rescaled":
        return "exactly, as float32, or with every number divided by one and the same length"
    if row.how == "settled":
        return "exactly, but for floats that the server takes for one another"
    if row.how == "refused":
        return "not at all"
    return "exactly" if row.distances == (_PAYLOAD,) else "exactly, as float32"


def differences(expected: Point, actual: Point, rule: EqualityRule) -> list[str]:
    """The fields in which two points differ: one entry a payload field or vector; [] if equal."""
    found = [] if expected.id == actual.id else ["id"]
    before, after = expected.payload, actual.payload
    if canonical(before) != canonical(after):
        if rule.settled:
            before, after = settle(before), settle(after)
        found += _payload_differences(before, after)
    for name in sorted(expected.vectors.keys() - actual.vectors.keys()):
        found.append(f"vector {name} missing")
    for name in sorted(actual.vectors.keys() - expected.vectors.keys()):
        found.append(f"extra vector {name}")
    for name in sorted(expected.vectors.keys() & actual.vectors.keys()):
        where = _vector_difference(expected.vectors[name], actual.vectors[name], rule.rows[name])
        if where is not None:
            found.append(f"vector {name}{where}")
    return found


def _payload_differences(expected: Any, actual: Any) -> Iterator[str]:
    places = differing_places(expected, actual, "payload", _is_same)
    # The keys of a payload come in no order.
    for place, wanted, there in sorted(places, key=itemgetter(0)):
        if there is NOTHING:
            yield f"{place} missing"
        else:
            yield f"extra {place}" if wanted is NOTHING else place


def _is_same(expected: Any, actual: Any) -> bool:
    return canonical(expected) == canonical(actual)


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
    if row.how in ("normalised", "rescaled") and _is_no_direction(expected, actual):
        return None
    if row.how == "normalised":
        left, right = _normalised(expected), _normalised(actual)
        # The other way round, NaN would be apart from nothing.
        apart = ~(np.abs(left - right) <= row.tolerance)
    elif row.how == "rescaled" and _is_rescaled(expected, actual, row.tolerance):
        return None
    else:
        # The bits: -0.0 is not 0.0.
        apart = expected.view(np.uint32) != actual.view(np.uint32)
    return int(apart.argmax()) if apart.any() else None


def _is_no_direction(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> bool:
    """Of a vector that holds NaN the server makes nothing but NaN when it normalises it."""
    return bool(np.isnan(expected).any() and np.isnan(actual).all())


def _is_rescaled(
    expected: NDArray[np.float32], actual: NDArray[np.float32], tolerance: float
) -> bool:
    """Whether the second is what the server makes of the first when it normalises it: it divides
    by a length that it finds to be off 1, bit for bit.

    In which order it adds up depends on its processor, so that the length is searched for.
    """
    may_err = len(expected) * 2.0**-24
    squares = float(np.square(expected, dtype=np.float64).sum())
    others = float(np.square(actual, dtype=np.float64).sum())
    if abs(squares - 1) + may_err <= tolerance or not 0 < others < np.inf:
        return False
    length = np.float32((squares / others) ** 0.5)
    if not abs(length - 1) <= tolerance + may_err:
        return False
    near = length.view(np.uint32) + np.arange(-_PLACES, _PLACES + 1)
    for one in near.astype(np.uint32).view(np.float32):
        # An ARM processor multiplies by what it has divided.
        for scaled in (expected / one, expected * (np.float32(1) / one)):
            if scaled.tobytes() == actual.tobytes():
                return True
    return False


def _normalised(values: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    length = float(np.linalg.norm(wide))
    return wide / length if 0 < length < np.inf else wide


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
