"""Choices: drawn by hypothesis, or all of them at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Pick:
    """`draw` gives an integer between two bounds, both inclusive."""

    def __init__(self, draw: Callable[[int, int], int]) -> None:
        self._draw = draw

    @classmethod
    def by(cls, draw: st.DrawFn) -> Pick:
        return cls(lambda low, high: draw(st.integers(low, high)))

    def number(self, low: int, high: int) -> int:
        return self._draw(low, high)

    def maybe(self) -> bool:
        return bool(self._draw(0, 1))

    def rarely(self) -> bool:
        return self._draw(0, 5) == 5

    def one(self, options: Sequence[T]) -> T:
        return options[self._draw(0, len(options) - 1)]

    def some(self, options: Sequence[T], least: int = 0) -> list[T]:
        """At least so many of the options, in their order."""
        chosen = [option for option in options if self.maybe()]
        return chosen if len(chosen) >= least else list(options[:least])

    def keep(self, fields: dict[Any, Any]) -> dict[Any, Any]:
        """Some of an object's fields."""
        return {key: value for key, value in fields.items() if self.maybe()}


class Everything(Pick):
    """Every optional thing is there, and options come in turn."""

    def __init__(self) -> None:
        super().__init__(lambda _low, high: high)
        self._turn = itertools.count()

    def one(self, options: Sequence[T]) -> T:
        return options[next(self._turn) % len(options)]

    def rarely(self) -> bool:
        return next(self._turn) % 3 == 0
