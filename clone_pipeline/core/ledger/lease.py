"""The lease: the right of one run to write for a clone.

Whoever takes a clone over raises `token`; every write goes through `Lease.write`, which finds out
in the same transaction that its token is stale, and stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from ..catalog.schema import clones
from ..errors import CloneError, Conflict, InProgress, LeaseLost
from ..process import Holder
from ..stores import Stores
from .beside import repeating
from .clones import NO_HOLDER, UNFINISHED, Clone, holder_values, mark_namespace, note_run
from .lease_timing import HEARTBEAT_SECONDS


def take_over(
    connection: Connection, clone: Clone, run_id: str, holder: Holder, now: datetime
) -> Clone:
    """Gives a clone to a run, in the caller's write transaction.

    The run that holds it keeps its token; any other raises it. Raises InProgress while another
    run is at work on it, Conflict where it was published or discarded meanwhile.
    """
    refuse_ended(clone)
    same_run = clone.run_id == run_id
    if not same_run and clone.is_held(now):
        raise in_progress(clone)
    goes_on = same_run and clone.reserved_at is None
    values = holder_values(holder, now) | {
        "run_id": run_id,
        "token": clone.token if goes_on else clone.token + 1,
        "reserved_at": None,
        "updated_at": now,
    }
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


@dataclass(frozen=True)
class Lease:
    """The right to write for one clone, as long as nobody takes it over."""

    stores: Stores
    clone_id: str
    token: int

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
            if held.rowcount == 0:
                raise self._lost()
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
            token = connection.execute(
                select(clones.c.token).where(
                    clones.c.clone_id == self.clone_id, clones.c.status.in_(UNFINISHED)
                )
            ).scalar()
        if token != self.token:
            raise self._lost()

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            "Another run has taken this clone over, or it was discarded; this run stops here."
        )

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
            connection.execute(
                update(clones).where(*mine).values(holder_values(holder, self.stores.clock()))
            )


def step_out(lease: Lease) -> None:
    """Ends a step's hold where this process will not run the run's next step.

    Its death then means nothing, and until the next step comes the heartbeat counts. After a
    failure nothing more will come than the run's other branches: nobody holds the clone.
    """
    stores = lease.stores
    mine = update(clones).where(
        clones.c.clone_id == lease.clone_id,
        clones.c.token == lease.token,
        clones.c.holder_pid == Holder.current().pid,
    )
    between = {"holder_pid": None, "holder_started": None, "heartbeat_at": stores.clock()}
    with stores.catalog.write() as connection:
        connection.execute(mine.where(clones.c.status == "failed").values(NO_HOLDER))
        connection.execute(mine.values(between))


def release(lease: Lease) -> None:
    """Gives a clone up that is neither finished nor discarded: the next one may take it at once."""
    mine = update(clones).where(clones.c.clone_id == lease.clone_id, clones.c.token == lease.token)
    with lease.stores.catalog.write() as connection:
        connection.execute(mine.values(NO_HOLDER))
