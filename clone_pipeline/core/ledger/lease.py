"""The lease: the right of one run to write for a clone.

Whoever takes a clone over raises `token`, and each attempt at a step raises that step's `attempt`;
every write goes through `Lease.write`, which finds out in the same transaction that either is
stale, and stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from ..catalog.schema import clone_attempts, clones
from ..errors import CloneError, Conflict, InProgress, LeaseLost
from ..process import Holder
from ..stores import Stores
from .beside import repeating
from .clones import NO_HOLDER, UNFINISHED, Clone, holder_values, mark_namespace, note_run
from .lease_timing import HEARTBEAT_SECONDS


def take_over(
    connection: Connection,
    clone: Clone,
    run_id: str,
    holder: Holder,
    now: datetime,
    ended: frozenset[str] = frozenset(),
) -> Clone:
    """Gives a clone to a run, in the caller's write transaction.

    The run that holds it keeps its token; any other raises it. `ended` are runs that are known to
    be over: their lease is not waited for. Raises InProgress while another run is at work on it,
    Conflict where it was published or discarded meanwhile.
    """
    refuse_ended(clone)
    same_run = clone.run_id == run_id
    if not same_run and clone.is_held(now, ended):
        raise in_progress(clone)
    goes_on = same_run and clone.reserved_at is None
    values = holder_values(holder, now) | {
        "run_id": run_id,
        "token": clone.token if goes_on else clone.token + 1,
        "reserved_at": None,
        "updated_at": now,
    }
    if not goes_on:
        values["offered"] = None
    if not same_run:
        values |= {"status": "cloning", "error": None, "finished_at": None}
        mark_namespace(connection, clone, "cloning", now)
    taken = connection.execute(
        update(clones)
        .where(clones.c.clone_id == clone.clone_id, clones.c.token == clone.token)
        .values(values)
    )
    if taken.rowcount == 0:
        raise InProgress(f"Another run has just taken {clone.namespace_name!r} over.")
    if not same_run:
        note_run(connection, clone.clone_id, run_id, now)
    return replace(clone, **{k: v for k, v in values.items() if k != "updated_at"})


def refuse_ended(clone: Clone) -> None:
    """Raises Conflict."""
    if clone.status not in UNFINISHED:
        raise Conflict(f"The clone {clone.namespace_name!r} is {clone.status}; start it anew.")


def in_progress(clone: Clone, *, same: bool = True) -> InProgress:
    """What whoever else wants it is told; `same`: in the words in which it was asked for."""
    return InProgress(
        f"Another run ({clone.run_id or 'not begun yet'}) is making {clone.namespace_name!r}"
        f"{'' if same else ' from another request'}; wait for it, or cancel it and then resume or "
        "delete the clone.",
        run_id=clone.run_id,
    )


def begin_attempt(connection: Connection, clone_id: str, step: str) -> int:
    """The number of one more attempt at a step, in the transaction that has taken the clone over.
    Earlier ones, which a queue may have delivered before, lose their lease."""
    mine = (clone_attempts.c.clone_id == clone_id, clone_attempts.c.step == step)
    before = connection.execute(select(clone_attempts.c.attempt).where(*mine)).scalar()
    if before is None:
        values = {"clone_id": clone_id, "step": step, "attempt": 1}
        connection.execute(insert(clone_attempts).values(values))
        return 1
    connection.execute(update(clone_attempts).where(*mine).values(attempt=before + 1))
    return int(before) + 1


def superseded() -> LeaseLost:
    return LeaseLost(
        "Another run has taken this clone over, or this one is over or was begun once more; it "
        "stops here."
    )


@dataclass(frozen=True)
class Lease:
    """The right to write for one clone, as long as nobody takes it over; that of a `step` ends when
    the same step is begun once more, as by a queue that delivers it twice.

    `helps`: of a process beside the run's, with what the run offers. It ends with the offer, and
    says nothing about the life of the run.
    """

    stores: Stores
    clone_id: str
    token: int
    step: str | None = None
    attempt: int = 0
    helps: str | None = None

    @contextmanager
    def write(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A write transaction of the clone. Raises LeaseLost before anything is written."""
        with self.stores.catalog.write(snapshot=snapshot) as connection:
            held = connection.execute(
                update(clones)
                .where(clones.c.clone_id == self.clone_id, clones.c.token == self.token)
                .where(clones.c.status.in_(UNFINISHED))
                .values(heartbeat_at=self.stores.clock())
            )
            # Who begins an attempt has this row, too: what is read after it is the last word.
            if held.rowcount == 0 or not self._is_last_attempt(connection):
                raise superseded()
            yield connection
            # A long transaction keeps our own heartbeats waiting for it.
            connection.execute(
                update(clones)
                .where(clones.c.clone_id == self.clone_id, clones.c.token == self.token)
                .values(heartbeat_at=self.stores.clock())
            )

    def check(self) -> None:
        """To be called before each write outside the catalog. Raises LeaseLost."""
        with self.stores.catalog.read() as connection:
            held = connection.execute(select(clones.c.token).where(*self._held)).first()
            if held is None or not self._is_last_attempt(connection):
                raise superseded()

    def confirm(self, connection: Connection) -> None:
        """In a transaction that writes for one slice: nobody takes the clone over, ends or
        publishes it before that is over, and others may confirm theirs meanwhile. Raises LeaseLost.
        """
        held = select(clones.c.token).where(*self._held).with_for_update(read=True)
        if connection.execute(held).first() is None or not self._is_last_attempt(connection):
            raise superseded()

    @property
    def _held(self) -> list[ColumnElement[bool]]:
        """What is true of the clone's row as long as the lease is good."""
        mine = [clones.c.clone_id == self.clone_id, clones.c.token == self.token]
        if self.helps is None:
            return [*mine, clones.c.status.in_(UNFINISHED)]
        return [*mine, clones.c.status == "cloning", clones.c.offered == self.helps]

    def _is_last_attempt(self, connection: Connection) -> bool:
        if self.step is None:
            return True
        last = select(clone_attempts.c.attempt).where(
            clone_attempts.c.clone_id == self.clone_id, clone_attempts.c.step == self.step
        )
        return connection.execute(last).scalar() == self.attempt

    def kept_alive(self) -> AbstractContextManager[None]:
        """Heartbeats for as long as the block runs."""
        holder = Holder.current()

        def beat() -> None:
            with suppress(CloneError):  # a busy, full or absent catalog: the writer will hear of it
                self._beat(holder)

        return repeating("clone-lease", HEARTBEAT_SECONDS, beat)

    def _beat(self, holder: Holder) -> None:
        mine = (clones.c.clone_id == self.clone_id, clones.c.token == self.token)
        with self.stores.catalog.write() as connection:
            # The clock is read when the row is ours, which may be a while after we asked.
            connection.execute(select(clones.c.token).where(*mine).with_for_update())
            if not self._is_last_attempt(connection):
                return
            connection.execute(
                update(clones).where(*mine).values(holder_values(holder, self.stores.clock()))
            )


def step_out(lease: Lease) -> None:
    """Ends a step's hold where this process will not run the run's next step.

    Its death then means nothing, and until the next step comes the heartbeat counts. After a
    failure nothing more will come than the run's other branches: nobody holds the clone.
    """
    mine = (clones.c.clone_id == lease.clone_id, clones.c.token == lease.token)
    _step_out(lease.stores, *mine)


def step_out_of_run(stores: Stores, run_id: str) -> None:
    """The same for a step that may not know its clone: planning may fail when the name is taken."""
    _step_out(stores, clones.c.run_id == run_id, clones.c.status.in_(UNFINISHED))


def _step_out(stores: Stores, *mine: ColumnElement[bool]) -> None:
    """Process ids of containers coincide, so the whole holder is compared; a step beside this one
    that was heard of since keeps its hold."""
    me = Holder.current()
    held = update(clones).where(
        *mine, clones.c.holder_host == me.host, clones.c.holder_pid == me.pid
    )
    between = {"holder_pid": None, "holder_started": None, "heartbeat_at": stores.clock()}
    with stores.catalog.write() as connection:
        connection.execute(held.where(clones.c.status == "failed").values(NO_HOLDER))
        connection.execute(held.values(between))


def release(lease: Lease) -> None:
    """Gives a clone up that is neither finished nor discarded: the next one may take it at once."""
    mine = update(clones).where(clones.c.clone_id == lease.clone_id, clones.c.token == lease.token)
    with lease.stores.catalog.write() as connection:
        connection.execute(mine.values(NO_HOLDER))
