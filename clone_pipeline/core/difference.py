"""One way in which a clone is not what it should be: which resource, which field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """`kind` is a resource type, `point`, `qdrant config`, or `file`; `field` a path in it."""

    kind: str
    id: str
    field: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: {self.field}"

    def to_json(self) -> dict[str, str]:
        return asdict(self)


class Differences:
    """Counts all of them, keeps the first `kept` by name."""

    def __init__(self, kept: int = 100) -> None:
        self._kept = kept
        self.count = 0
        self.first: list[Difference] = []

    def add(self, kind: str, id: object, *fields: str) -> None:
        for field in fields:
            self.count += 1
            if len(self.first) < self._kept:
                self.first.append(Difference(kind, str(id), field))

    def extend(self, other: Differences) -> None:
        self.count += other.count
        self.first += other.first[: self._kept - len(self.first)]

    def __bool__(self) -> bool:
        return self.count > 0

    def to_json(self) -> list[dict[str, str]]:
        return [difference.to_json() for difference in self.first]

    def places(self) -> str:
        return "1 place" if self.count == 1 else f"{self.count:,} places"

    def sentence(self) -> str:
        """The first few, for an error message."""
        listed = "; ".join(str(difference) for difference in self.first[:5])
        more = f" and {self.count - 5} more" if self.count > 5 else ""
        return f"{listed}{more}"


def differing_fields(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """The paths at which two JSON values differ; 1 and 1.0 and true are three values."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in dict.fromkeys([*expected, *actual]):
            place = f"{path}.{key}" if path else str(key)
            if key not in actual:
                yield f"{place} is missing"
            elif key not in expected:
                yield f"{place} is extra"
            else:
                yield from differing_fields(expected[key], actual[key], place)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differing_fields(*pair, f"{path}[{index}]")
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{path or 'value'} differs"
