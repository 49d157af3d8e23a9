"""What differs between a clone and what it should be: which resource, which field.

And the two ways to look for it: two streams side by side, and two JSON values place by place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

A = TypeVar("A")
B = TypeVar("B")


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

    def add_stored(self, count: int, first: Iterable[Mapping[str, str]]) -> None:
        """What `count` and `to_json` of others were."""
        other = Differences(self._kept)
        other.count, other.first = count, [Difference(**one) for one in first]
        self.extend(other)

    def places(self) -> str:
        return "1 place" if self.count == 1 else f"{self.count:,} places"

    def sentence(self) -> str:
        """The first few, for an error message."""
        listed = "; ".join(str(difference) for difference in self.first[:5])
        more = f" and {self.count - 5} more" if self.count > 5 else ""
        return f"{listed}{more}"


def merged(
    first: Iterable[A], second: Iterable[B], key: Callable[[Any], Any]
) -> Iterator[tuple[A | None, B | None]]:
    """Pairs of the same key; None stands for what one side lacks.

    Both must be in the order of `key`. Holds one of each side.
    """
    left, right = iter(first), iter(second)
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        at, other = key(a), key(b)
        if at == other:
            yield a, b
            a, b = next(left, None), next(right, None)
        elif at < other:
            yield a, None
            a = next(left, None)
        else:
            yield None, b
            b = next(right, None)
    while a is not None:
        yield a, None
        a = next(left, None)
    while b is not None:
        yield None, b
        b = next(right, None)


class Nothing:
    """What stands where nothing stands; JSON's null is something."""


NOTHING: Final = Nothing()


def _is_same(first: Any, second: Any) -> bool:
    """1 and 1.0 and true are three values."""
    return type(first) is type(second) and bool(first == second)


def differing_places(
    first: Any, second: Any, path: str = "", same: Callable[[Any, Any], bool] = _is_same
) -> Iterator[tuple[str, Any, Any]]:
    """The paths at which two JSON values differ, and what stands there on either side: NOTHING
    where nothing does.

    `same` is asked of everything but two objects, and two lists of one length. A path begins with
    `path`, and is that where the values differ as a whole.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            place = f"{path}.{key}" if path else str(key)
            one, other = first.get(key, NOTHING), second.get(key, NOTHING)
            yield from differing_places(one, other, place, same)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from differing_places(one, other, f"{path}[{index}]", same)
    elif first is NOTHING or second is NOTHING or not same(first, second):
        yield path, first, second


def differing_fields(expected: Any, actual: Any) -> Iterator[str]:
    """What is wrong with a JSON value, place by place."""
    for place, wanted, there in differing_places(expected, actual):
        if there is NOTHING:
            yield f"{place} is missing"
        elif wanted is NOTHING:
            yield f"{place} is extra"
        else:
            yield f"{place or 'value'} differs"
