"""Waits within a step: until a busy server, a rate limit or a lost connection has passed by itself,
and so that no more points are read than was asked for.

Interruptible: a cancel, a lost lease or another worker's failure ends the wait within a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from ..errors import StoreUnavailable
from ..ledger.claims import Claim
from ..ledger.lease import Lease
from ..stores import Stores
from .pace import Pace

T = TypeVar("T")

# Waiting more than this in a row for one page, without having been asked to, is for people.
_LONGEST_SECONDS = 120.0
_LONGEST_STEP = 10.0
_NAP_SECONDS = 0.5

_backoff = wait_random_exponential(multiplier=0.2, max=_LONGEST_STEP)


class Stopped(Exception):
    """Another worker has failed: this one has nothing to say."""


@dataclass
class _Waited:
    times: int = 0
    seconds: float = 0.0


class Retry:
    """Runs operations that may be repeated, again and again while the store is unavailable.

    Safe for threads, which together read no faster than the `pace` lets them. `stop` ends all
    waits. Raises StoreUnavailable after two minutes of waits in a row that the store has not asked
    for, LeaseLost, Stopped, and ClaimLost where it is for a slice.
    """

    def __init__(
        self, stores: Stores, lease: Lease | None = None, pace: Pace | None = None
    ) -> None:
        self._stores = stores
        self._lease = lease
        self._pace = pace
        self._claim: Claim | None = None
        self._waited = _Waited()
        self.stop = threading.Event()

    def within(self, claim: Claim) -> Retry:
        """The same for who works on one slice: nothing is asked any more when that may be another
        one's."""
        one = copy(self)
        one._claim = claim
        return one

    @property
    def waits(self) -> int:
        return self._waited.times

    @property
    def seconds_waited(self) -> float:
        return self._waited.seconds

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
        """Raises Stopped where the work has been given up, ClaimLost."""
        if self.stop.is_set():
            raise Stopped
        if self._claim is not None:
            self._claim.check_age()

    def pace(self, points: int) -> None:
        """So many points were read: waits until more are due. Raises as a call does."""
        if self._pace is not None:
            pace = self._pace
            self.nap(self(lambda: pace.wait(points)))

    def nap(self, seconds: float) -> None:
        """Sleeps in short parts. Raises Stopped, LeaseLost, ClaimLost."""
        while seconds > 0:
            self.go_on()
            self._stores.sleep(min(seconds, _NAP_SECONDS))
            seconds -= _NAP_SECONDS
            if self._lease is not None:
                self._lease.check()
        self.go_on()

    def _sleep(self, seconds: float) -> None:
        self._waited.times += 1
        self._waited.seconds += seconds
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
