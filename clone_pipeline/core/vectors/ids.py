"""Point ids: one spelling and one order, the same in every store."""

from __future__ import annotations

import re
from uuid import UUID

from ..errors import InvalidRequest
from .point import PointId

_MAX_INTEGER = 2**64 - 1
_HYPHENATED = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# The spellings a Qdrant server takes; UUID() alone takes more.
_SPELLINGS = re.compile(
    rf"[0-9a-fA-F]{{32}}|{_HYPHENATED}|\{{{_HYPHENATED}\}}|urn:uuid:{_HYPHENATED}"
)


def canonical_id(value: object) -> PointId:
    """The id as every store gives it back: an integer, or a UUID in lower case with hyphens.

    Raises InvalidRequest for anything else. The embedded store would take -1 and True.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INTEGER:
        return value
    if isinstance(value, str) and _SPELLINGS.fullmatch(value):
        return str(UUID(value))
    raise InvalidRequest(
        f"Point id {value!r} is not usable: it has to be an integer from 0 to {_MAX_INTEGER} or a "
        "UUID."
    )


def id_order(point_id: PointId) -> tuple[int, int, str]:
    """Sorts canonical ids as the stores do: integers ascending, then UUIDs."""
    return (0, point_id, "") if isinstance(point_id, int) else (1, 0, point_id)


def id_number(point_id: PointId) -> int:
    """How far from the first id there can be; in the same order."""
    return point_id if isinstance(point_id, int) else _MAX_INTEGER + 1 + UUID(point_id).int
