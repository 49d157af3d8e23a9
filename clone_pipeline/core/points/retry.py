"""Waits within a step: until a busy server, a rate limit or a lost connection has passed by itself,
and so that no more points are read than was asked for.

Interruptible: a cancel, a lost lease or another worker's failure ends the wait within a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from ..errors import StoreUnavailable
from ..ledger.lease import Lease
from ..stores import Stores

T = TypeVar("T")

# Waiting more than this in a row for one page, without having been asked to, is for people.
_LONGEST_SECONDS = 120.0
_LONGEST_STEP = 10.0
_NAP_SECONDS = 0.5

_backoff = wait_random_exponential(multiplier=0.2, max=_LONGEST_STEP)


class Stopped(Exception):
    """Another worker has failed: this one has nothing to say."""


class Retry:
    """Runs operations that may be repeated, again and again while the store is unavailable.

    Safe for threads, which together read no more than `points_per_second`. `stop` ends all waits.
    Raises StoreUnavailable after two minutes of waits in a row that the store has not asked for,
    LeaseLost, Stopped.
    """

    def __init__(
        self, stores: Stores, lease: Lease | None = None, points_per_second: int | None = None
    ) -> None:
        self._stores = stores
        self._lease = lease
        self._limit = points_per_second
        self._started = stores.clock()
        self._points = 0
        self._counting = threading.Lock()
        self.stop = threading.Event()
        self.waits = 0
        self.seconds_waited = 0.0

    def __call__(self, operation: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=_wait,
            stop=_GivesUp(),
            sleep=self._sleep,
            reraise=True,
        )
        self.go_on()
        return retrying(operation)

    def go_on(self) -> None:
        """Raises Stopped where the work has been given up."""
        if self.stop.is_set():
            raise Stopped

    def pace(self, points: int) -> None:
        """So many points were read: waits until more are due. Raises Stopped, LeaseLost."""
        if self._limit is None:
            return
        with self._counting:
            self._points += points
            since = (self._stores.clock() - self._started).total_seconds()
            ahead = self._points / self._limit - since
        self.nap(ahead)

    def nap(self, seconds: float) -> None:
        """Sleeps in short parts. Raises Stopped, LeaseLost."""
        while seconds > 0:
            self.go_on()
            self._stores.sleep(min(seconds, _NAP_SECONDS))
            seconds -= _NAP_SECONDS
            if self._lease is not None:
                self._lease.check()
        self.go_on()

    def _sleep(self, seconds: float) -> None:
        self.waits += 1
        self.seconds_waited += seconds
        self.nap(seconds)


class _GivesUp:
    """Of one operation. Several at once under one rate limit are refused in turn: to have waited
    long because each was asked to says nothing about the store."""

    def __init__(self) -> None:
        self._unasked = 0.0

    def __call__(self, state: RetryCallState) -> bool:
        if _asked(state) is not None:
            self._unasked = 0.0
            return False
        if self._unasked >= _LONGEST_SECONDS:
            return True
        self._unasked += state.upcoming_sleep
        return False


def _asked(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.retry_after if isinstance(error, StoreUnavailable) else None


def _wait(state: RetryCallState) -> float:
    return max(_backoff(state), _asked(state) or 0.0)
