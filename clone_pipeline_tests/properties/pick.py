"""Choices within a document: at random from a seed, or all of them at once.

Hypothesis draws the seeds, not the single choices, of which a namespace has thousands. Seed 0
chooses the least of everything, so that a failing namespace shrinks to the documents that matter.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


class Pick:
    """`draw` gives an integer between two bounds, both inclusive."""

    def __init__(self, draw: Callable[[int, int], int]) -> None:
        self._draw = draw

    @classmethod
    def seeded(cls, seed: int) -> Pick:
        return cls(Random(seed).randint if seed else lambda low, _high: low)

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

    def few(self, options: Sequence[T], most: int) -> list[T]:
        """One to `most` different options."""
        left = list(options)
        return [left.pop(self._draw(0, len(left) - 1)) for _ in range(self._draw(1, most))]

    def keep(self, fields: dict[Any, Any]) -> dict[Any, Any]:
        """Some of an object's fields."""
        return {key: value for key, value in fields.items() if self.maybe()}


class Everything(Pick):
    """Every optional thing is there; alternatives come in turn, wherever they are asked for."""

    def __init__(self) -> None:
        super().__init__(lambda _low, high: high)
        self._turns: Counter[str] = Counter()

    def one(self, options: Sequence[T]) -> T:
        return options[self._turn() % len(options)]

    def few(self, options: Sequence[T], most: int) -> list[T]:
        start = self._turn() * 2 * most
        return [options[(start + i) % len(options)] for i in range(min(2 * most, len(options)))]

    def rarely(self) -> bool:
        return self._turn() % 4 == 2

    def _turn(self) -> int:
        """How often the line that makes the choice has made one."""
        caller = sys._getframe(2)
        line = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        self._turns[line] += 1
        return self._turns[line] - 1
