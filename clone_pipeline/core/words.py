"""Sentences whose options each door spells in its own words.

The core says which field of the request it means. The Launchpad, the API and a policies file know
it by that name; the command line has an option for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """A field of the request (its path), with the value that is meant, if one is."""

    key: str
    value: str | None = None

    def __str__(self) -> str:
        return f"`{self.key}`" if self.value is None else f"`{self.key}: {self.value}`"


@dataclass(frozen=True)
class Hint:
    """A clause that helps at the command line only; elsewhere it is left out."""

    text: str

    def __str__(self) -> str:
        return self.text


Part = str | Option | Hint
Spelling = Callable[[Option | Hint], str]


def as_text(parts: Iterable[Part], spell: Spelling = str) -> str:
    """The sentence; `spell` says an option or a hint as its door does."""
    return "".join(part if isinstance(part, str) else spell(part) for part in parts)


def without_hints(part: Option | Hint) -> str:
    """The spelling of a door that is not the command line."""
    return "" if isinstance(part, Hint) else str(part)


def to_json(parts: Iterable[Part]) -> list[Any]:
    """For a sentence that goes from one process to another."""
    return [part if isinstance(part, str) else asdict(part) for part in parts]


def from_json(values: Sequence[Any]) -> tuple[Part, ...]:
    return tuple(_part(value) for value in values)


def _part(value: Any) -> Part:
    if isinstance(value, str):
        return value
    return Hint(**value) if "text" in value else Option(**value)
