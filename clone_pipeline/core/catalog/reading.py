"""Reading what other services have written: what cannot be read is a value that says why.

A row is read whole or not at all, and rows are read many at a time. So nothing may fail here: one
broken row would take all the others with it. Whoever uses the row says then which one it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Unreadable:
    """Stands in a row for a value that cannot be read. `reason` ends a sentence on the place."""

    reason: str


def loads(stored: str | bytes | float) -> Any:
    """The value of a JSON text, or Unreadable."""
    if isinstance(stored, int | float):
        return stored  # SQLite makes a number of a text that is one
    try:
        text = stored if isinstance(stored, str) else bytes(stored).decode()
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        return Unreadable("is nested too deeply")
    except ValueError as error:  # no JSON, no UTF-8, a number of thousands of digits
        return Unreadable(f"is not valid JSON ({' '.join(str(error).split())})")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def first_unreadable(row: Mapping[Any, Any]) -> str | None:
    """The first column of a row that cannot be read, with the reason."""
    for column, value in row.items():
        if isinstance(value, Unreadable):
            return f"`{column}` {value.reason}"
    return None


def reading_time(read: Callable[[Any], datetime | None] | None) -> Callable[[Any], Any]:
    """A database's reader of times that fails with none."""

    def process(stored: Any) -> Any:
        try:
            return stored if read is None else read(stored)
        except (ValueError, TypeError):
            return Unreadable("is not a time")

    return process
