"""The rate limit: how many requests of one caller are answered in any 60 seconds.

A window that slides: what is left of the minute before counts by its share. Several processes that
share a PostgreSQL catalog count together, in it; an embedded catalog, which one machine has, is
written by clones for a second at a time, and each process counts for itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import api_requests

WINDOW_SECONDS = 60


@dataclass(frozen=True)
class Window:
    """Whether a request is let in, how many more are, and when (seconds since 1970) all are."""

    admitted: bool
    remaining: int
    reset_at: float


@dataclass(frozen=True)
class _Moment:
    """A time in its minute."""

    minute: int
    share_before: float
    ends_at: float

    @classmethod
    def at(cls, now: float) -> _Moment:
        minute, passed = divmod(now, WINDOW_SECONDS)
        return cls(int(minute), 1 - passed / WINDOW_SECONDS, (minute + 1) * WINDOW_SECONDS)

    def room(self, most: int, before: int) -> int:
        """How many may come within this minute, up to now."""
        return most - int(before * self.share_before)


class Rate:
    """`most` requests in a window, for each caller."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: dict[tuple[str, int], int] = {}
        self._lock = Lock()
        self._minute = 0

    def hit(self, whose: str, now: float | None = None) -> Window:
        """Counts a request, unless it is not let in. Raises StoreUnavailable, StorageFailed."""
        moment = _Moment.at(time.time() if now is None else now)
        with self._lock:
            is_new, self._minute = self._minute != moment.minute, moment.minute
        if is_new:
            self._forget(moment.minute - 1)
        admitted, room, count = self._count(whose, moment)
        return Window(admitted, max(0, room - count), moment.ends_at)

    def _count(self, whose: str, moment: _Moment) -> tuple[bool, int, int]:
        """Whether it is let in, how many may be, and how many have been."""
        with self._lock:
            before = self._counts.get((whose, moment.minute - 1), 0)
            count = self._counts.get((whose, moment.minute), 0)
            room = moment.room(self.most, before)
            if count >= room:
                return False, room, count
            self._counts[whose, moment.minute] = count + 1
        return True, room, count + 1

    def _forget(self, before: int) -> None:
        with self._lock:
            self._counts = {key: n for key, n in self._counts.items() if key[1] >= before}


class SharedRate(Rate):
    """The same, counted in the catalog."""

    def __init__(self, most: int, catalog: Catalog) -> None:
        super().__init__(most)
        self._catalog = catalog

    def _count(self, whose: str, moment: _Moment) -> tuple[bool, int, int]:
        mine = api_requests.c.whose == whose
        with self._catalog.write() as connection:
            asked = select(api_requests.c.minute, api_requests.c.requests)
            rows = connection.execute(asked.where(mine, api_requests.c.minute >= moment.minute - 1))
            counts = {row.minute: row.requests for row in rows}
            room = moment.room(self.most, counts.get(moment.minute - 1, 0))
            if room < 1:
                return False, room, counts.get(moment.minute, 0)
            # Of many at once, as many are let in as there is room.
            row = insert(api_requests).values(whose=whose, minute=moment.minute, requests=1)
            one_more = row.on_conflict_do_update(
                index_elements=["whose", "minute"],
                set_={"requests": api_requests.c.requests + 1},
                where=api_requests.c.requests < room,
            )
            counted = connection.execute(one_more.returning(api_requests.c.requests)).scalar()
        return counted is not None, room, room if counted is None else counted

    def _forget(self, before: int) -> None:
        with self._catalog.write() as connection:
            connection.execute(delete(api_requests).where(api_requests.c.minute < before))


def rate_for(catalog: Catalog, most: int) -> Rate:
    return Rate(most) if catalog.is_sqlite else SharedRate(most, catalog)
