"""Claims: which process works on which slice of a clone, where several may.

The run offers its slices, and each process takes one after the other: that raises the slice's
`claim`, and whoever has an older one writes no more. A process that is silent for CLAIM_SECONDS, by
the clock of the database, loses what it has to others, who go on from its last checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, not_, or_, select, update

from ..catalog.schema import clone_slices, clones
from ..errors import CloneError
from ..process import Holder
from ..stores import Stores
from .beside import repeating
from .lease import Lease, superseded
from .lease_timing import CLAIM_SECONDS, HEARTBEAT_SECONDS, OWN_CLAIM_SECONDS

Task = Literal["copy", "prove"]

# Where a slice has been worked on.
DONE: dict[Task, ColumnElement[bool]] = {
    "copy": clone_slices.c.done,
    "prove": clone_slices.c.proof.is_not(None),
}

NOBODY: dict[str, Any] = dict.fromkeys(
    ("holder_host", "holder_pid", "holder_started", "heartbeat_at")
)
# A clock that goes on while the machine sleeps, where there is one.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ClaimLost(Exception):
    """Another process has the slice, or may have it: whoever had it drops it, and goes on with the
    next one."""


def seconds() -> float:
    """For measuring how old a claim is, whatever is done to the clock of the wall."""
    return time.clock_gettime(_CLOCK)


@dataclass
class _Sign:
    """The last sign of life of a claim that the ledger has taken."""

    at: float


@dataclass(frozen=True)
class Claim(Lease):
    """The right to write for one slice of a clone, as long as the lease is good that it came with,
    and nobody else has the slice."""

    slice: int = -1
    claim: int = 0
    ends: bool = False  # by itself, without a sign of life
    sign: _Sign = field(default_factory=lambda: _Sign(seconds()), compare=False)

    @property
    def is_mine(self) -> list[ColumnElement[bool]]:
        """What is true of the slice's row as long as the claim is good."""
        return [*_of(self.clone_id), clone_slices.c.slice == self.slice, _claim == self.claim]

    def check_age(self) -> None:
        """To be called before each request that writes: a process that was stopped for long, and
        does not know it, asks nobody else. Raises ClaimLost."""
        if self.ends and seconds() - self.sign.at > OWN_CLAIM_SECONDS:
            raise ClaimLost

    def check(self) -> None:
        """As that of a lease. Raises LeaseLost, ClaimLost."""
        self.check_age()
        query = (
            select(clones.c.token, _claim)
            .join(clone_slices, clone_slices.c.clone_id == clones.c.clone_id)
            .where(*self._held, clone_slices.c.slice == self.slice)
        )
        with self.stores.catalog.read() as connection:
            row = connection.execute(query).first()
            if row is None or not self._is_last_attempt(connection):
                raise superseded()
        if row.claim != self.claim:
            raise ClaimLost

    @contextmanager
    def write(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A transaction that writes for the slice, and a sign of life. Raises LeaseLost, or
        ClaimLost, before anything is written."""
        self.check_age()
        began = seconds()
        with self.stores.catalog.write(snapshot=snapshot) as connection:
            self.confirm(connection)
            beat = update(clone_slices).where(*self.is_mine).values(heartbeat_at=_now(self.stores))
            if connection.execute(beat).rowcount == 0:
                raise ClaimLost
            yield connection
        self.sign.at = began

    def is_lost(self) -> bool:
        """Whether the slice is another one's, so that an error of this one says nothing."""
        try:
            self.check()
        except ClaimLost:
            return True
        return False

    def release(self) -> None:
        """Gives it up: the next one may take it at once."""
        with self.stores.catalog.write() as connection:
            connection.execute(update(clone_slices).where(*self.is_mine).values(NOBODY))


@dataclass(frozen=True)
class Taken:
    """A slice that a process, the `holder`, has: its row as it was before."""

    claim: Claim
    row: RowMapping
    holder: Holder


class Claims:
    """What one process has of a clone's slices; safe for threads. `lease` is that of the run, or
    that of one who helps it."""

    def __init__(self, lease: Lease, task: Task) -> None:
        self._lease, self._stores = lease, lease.stores
        self._task = task
        self._open = [*_of(lease.clone_id), not_(DONE[task])]
        self._shared = lease.stores.lets_others_help
        self.me = Holder.current()
        self._mine: dict[int, Claim] = {}
        self._changing = threading.Lock()

    def count_open(self) -> int:
        query = select(func.count()).select_from(clone_slices).where(*self._open)
        with self._stores.catalog.read() as connection:
            return int(connection.execute(query).scalar_one())

    def points_done(self) -> int:
        """How many points are copied by now, or are in slices that are proven, by whomever."""
        points = func.coalesce(func.sum(clone_slices.c.points), 0)
        query = select(points).where(*_of(self._lease.clone_id))
        query = query if self._task == "copy" else query.where(DONE[self._task])
        with self._stores.catalog.read() as connection:
            return int(connection.execute(query).scalar_one())

    def take(self) -> Taken | None:
        """The next slice that nobody has; None where there is none. Raises LeaseLost."""
        with self._changing:
            taken = self._take()
            if taken is not None:
                self._mine[taken.claim.slice] = taken.claim
        return taken

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """A slice that was taken is this process's as long as the block lasts; given up where that
        fails."""
        try:
            yield
        except BaseException:
            with suppress(CloneError):
                claim.release()
            raise
        finally:
            with self._changing:
                self._mine.pop(claim.slice, None)

    def _take(self) -> Taken | None:
        began, now = seconds(), _now(self._stores)
        query = select(clone_slices).where(*self._open, self._is_free(now))
        with self._stores.catalog.write() as connection:
            self._lease.confirm(connection)
            first = query.order_by(clone_slices.c.slice).limit(1)
            row = connection.execute(first.with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            mine = [*_of(self._lease.clone_id), clone_slices.c.slice == row["slice"]]
            held = {"claim": row["claim"] + 1, "heartbeat_at": now, **_held_by(self.me)}
            connection.execute(update(clone_slices).where(*mine).values(held))
        return Taken(self._claim(row, began), row, self.me)

    def _is_free(self, now: Any) -> ColumnElement[bool]:
        """Also what this process has, and knows nothing of: it was given, and the word was lost."""
        me = [clone_slices.c[name] == value for name, value in _held_by(self.me).items()]
        forgotten = and_(*me, clone_slices.c.slice.not_in(list(self._mine)))
        free = or_(clone_slices.c.holder_host.is_(None), forgotten)
        if not self._shared:
            return free
        return or_(free, clone_slices.c.heartbeat_at < now - timedelta(seconds=CLAIM_SECONDS))

    def _claim(self, row: RowMapping, began: float) -> Claim:
        of = self._lease
        return Claim(
            *(of.stores, of.clone_id, of.token, of.step, of.attempt, of.helps),
            slice=row["slice"],
            claim=row["claim"] + 1,
            ends=self._shared,
            sign=_Sign(began),
        )

    def are_elsewhere(self) -> bool:
        """Whether other processes have some that are open. What dead ones of this host have is free
        from now on."""
        columns = (clone_slices.c.holder_host, clone_slices.c.holder_pid)
        query = select(*columns, clone_slices.c.holder_started).where(*self._open).distinct()
        with self._stores.catalog.read() as connection:
            rows = connection.execute(query).all()
        others = [None if row[0] is None else Holder(*row) for row in rows]
        for one in others:
            if one is not None and one != self.me and one.is_dead():
                self._free(one)
        return any(one != self.me for one in others)

    def _free(self, dead: Holder) -> None:
        held = [clone_slices.c[name] == value for name, value in _held_by(dead).items()]
        with self._stores.catalog.write() as connection:
            self._lease.confirm(connection)
            _free(connection, *self._open, *held)

    def kept_alive(self, look: Callable[[], None]) -> AbstractContextManager[None]:
        """Signs of life for as long as the block runs, for slices whose pages take longer; each
        time there is also a `look` at what others do. Nothing where there can be no others."""
        if not self._shared:
            return nullcontext()

        def beat() -> None:
            with suppress(CloneError):  # whoever writes will hear of it
                self._beat()
                look()

        return repeating("slice-claims", HEARTBEAT_SECONDS, beat)

    def _beat(self) -> None:
        began = seconds()
        with self._changing:
            mine = list(self._mine.values())
        for one in mine:
            # What is too old is lost, though nobody may have taken it yet.
            if not HEARTBEAT_SECONDS <= began - one.sign.at < OWN_CLAIM_SECONDS:
                continue
            beat = update(clone_slices).where(*one.is_mine)
            with self._stores.catalog.write() as connection:
                if connection.execute(beat.values(heartbeat_at=_now(self._stores))).rowcount:
                    one.sign.at = began


@contextmanager
def offering(lease: Lease, task: Task, *, shares: bool = True) -> Iterator[None]:
    """While the block runs, the clone's slices may be worked on, by others too if it `shares` them.
    Whoever had some before has them no more."""
    stores, mine = lease.stores, clones.c.clone_id == lease.clone_id
    offered = task if shares and stores.lets_others_help else None
    with lease.write() as connection:
        if offered:
            connection.execute(update(clones).where(mine).values(offered=offered))
        if task == "prove":
            nothing = update(clone_slices).where(*_of(lease.clone_id))
            connection.execute(nothing.values(proof=None))
        _free(connection, *_of(lease.clone_id), clone_slices.c.holder_host.is_not(None))
    yield
    # Where the block fails, whoever ends the run withdraws it: until then others may go on.
    if offered:
        with lease.write() as connection:
            connection.execute(update(clones).where(mine).values(offered=None))


def _free(connection: Connection, *where: ColumnElement[bool]) -> None:
    connection.execute(update(clone_slices).where(*where).values(claim=_claim + 1, **NOBODY))


_claim = clone_slices.c.claim


def _of(clone_id: str) -> list[ColumnElement[bool]]:
    return [clone_slices.c.clone_id == clone_id]


def _held_by(holder: Holder) -> dict[str, Any]:
    return {
        "holder_host": holder.host,
        "holder_pid": holder.pid,
        "holder_started": holder.started,
    }


def _now(stores: Stores) -> Any:
    """One clock for all machines, where there may be several."""
    return stores.clock() if stores.catalog.is_sqlite else func.clock_timestamp()
