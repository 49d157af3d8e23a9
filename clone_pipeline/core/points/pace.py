"""No more points a second than were asked for: of a clone, however many work on it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Protocol

from sqlalchemy import func, update

from ..catalog.schema import clones
from ..ledger.work import Work
from ..stores import Stores

# A process asks for the points of so many seconds at once, so that it seldom asks.
_SECONDS_AT_ONCE = 0.5


class Pace(Protocol):
    """Safe for threads."""

    def wait(self, points: int) -> float:
        """Seconds to wait, after so many points, until more are due; they may be negative."""
        ...


def pace_of(work: Work) -> Pace | None:
    """None where any pace will do."""
    limit = work.request.max_points_per_second
    if limit is None:
        return None
    if work.stores.lets_others_help:
        return SharedPace(work.stores, work.clone.clone_id, limit)
    return OwnPace(work.stores, limit)


class OwnPace:
    """Of a process that has the clone for itself."""

    def __init__(self, stores: Stores, limit: int) -> None:
        self._stores, self._limit = stores, limit
        self._started = stores.clock()
        self._points = 0
        self._counting = threading.Lock()

    def wait(self, points: int) -> float:
        with self._counting:
            self._points += points
            since = (self._stores.clock() - self._started).total_seconds()
            return self._points / self._limit - since


class SharedPace:
    """Of a process that is one of several. The ledger says from when on the next points are due, by
    the clock of the database, and each process puts that off by what it takes."""

    def __init__(self, stores: Stores, clone_id: str, limit: int) -> None:
        self._stores, self._clone_id, self._limit = stores, clone_id, limit
        self._left = 0.0
        self._counting = threading.Lock()

    def wait(self, points: int) -> float:
        with self._counting:
            lacking, seconds = points - self._left, 0.0
            if lacking > 0:
                wanted = max(lacking, self._limit * _SECONDS_AT_ONCE)
                seconds = self._take(wanted)
                self._left += wanted
            self._left -= points
            return seconds

    def _take(self, points: float) -> float:
        now = func.clock_timestamp()
        due = func.greatest(clones.c.paced_until, now) + timedelta(seconds=points / self._limit)
        mine = clones.c.clone_id == self._clone_id
        taken = update(clones).where(mine).values(paced_until=due)
        with self._stores.catalog.write() as connection:
            row = connection.execute(taken.returning(clones.c.paced_until, now)).one()
        return float((row[0] - row[1]).total_seconds())
