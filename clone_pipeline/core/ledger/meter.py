"""How far the points or files of a step are, at what pace, and how long it will take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime

from ..errors import CloneError
from ..report import pace, size
from .beside import repeating

# How often the ledger hears of it, and every how many times a person does: twice in half a minute.
_NOTE_SECONDS = 1.0
_TOLD_EVERY = 15


class Meter:
    """Counts points, or files, from many threads. `begin` says what is done with how many, and of
    what size they are together; before that there is nothing to tell."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._counting = threading.Lock()
        self.doing = ""
        self.unit = "points"
        self.total = 0
        self._bytes = self._before = 0
        self.moved = 0
        self._limit: int | None = None
        self._started = clock()
        self.done = 0

    def begin(
        self,
        doing: str,
        total: int,
        bytes: int,
        done: int = 0,
        limit: int | None = None,
        *,
        unit: str = "points",
    ) -> None:
        """`doing` is a past participle; `done` were done before; no more than `limit` points a
        second are asked for. Where nobody knows the `bytes`, they are those that `add` is told."""
        with self._counting:
            self.unit, self.moved = unit, 0
            self.doing, self.total, self._bytes, self._limit = doing, total, bytes, limit
            self.done = self._before = done
            self._started = self._clock()

    def add(self, points: int, bytes: int = 0) -> None:
        with self._counting:
            self.done += points
            self.moved += bytes

    def reach(self, done: int) -> None:
        """So much is done by all that are at work on it, which may be more than this one knows."""
        with self._counting:
            self.done = max(self.done, done)

    @property
    def sentence(self) -> str:
        """`Copied 1,200 of 2,000 points (60 %): 300 points/s, 1.2 MB/s, 3 s left.`; empty before
        the first `begin`."""
        if not self.doing:
            return ""
        done, share = min(self.done, self.total), self.share
        how_far = f"{self.doing} {done:,} of {self.total:,} {self.unit} ({share:.0%})"
        if not self.facts:
            return f"{how_far}."
        return f"{how_far}{', ' if self._begins else ': '}{self.facts}."

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def _begins(self) -> bool:
        return self.done <= self._before

    @property
    def facts(self) -> str:
        """Pace, bytes and time left; where nothing has been done yet, for how long."""
        seconds = (self._clock() - self._started).total_seconds()
        points = self.done - self._before
        if self._begins or seconds <= 0:
            return f"none yet after {_duration(seconds)}" if seconds >= 1 else ""
        # A page is counted before the wait that the limit asks for after it.
        waits = max(0.0, points / self._limit - seconds) if self._limit else 0.0
        rate = points / (seconds + waits)
        left = max(0, self.total - self.done)
        bytes_each = self._bytes / self.total if self._bytes else self.moved / points
        return (
            f"{pace(points, seconds + waits):,} {self.unit}/s, {size(rate * bytes_each)}/s, "
            f"{_duration(waits + left / rate)} left"
        )

    def watched(
        self, tell: Callable[[str], None], note: Callable[[int], None] = lambda _: None
    ) -> AbstractContextManager[None]:
        """While the block runs: `tell` hears the sentence at least every half minute, however long
        a single request takes, and `note` the count whenever it has changed."""
        noted, turns = 0, 0

        def watch() -> None:
            nonlocal noted, turns
            turns += 1
            if self.done != noted:
                with suppress(CloneError):  # the step itself will say what is wrong
                    noted = self.done
                    note(noted)
            if turns % _TOLD_EVERY == 0 and (sentence := self.sentence):
                tell(sentence)

        return repeating("meter", _NOTE_SECONDS, watch)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
