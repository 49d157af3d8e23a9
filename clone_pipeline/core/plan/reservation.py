"""A clone that is reserved for a run that has yet to begin: how a request becomes a run elsewhere.

The name is taken, the ids are final and the caller is on record before a run is asked for, and the
id of that run is recorded as soon as Dagster has said it. The run finds its reservation by the tag
`clone/id`. The tag gives it no right, because everybody who launches can write tags: only the run
whose id is on record, or the one by which Dagster repeats it, acts as the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, func, select, update

from ..catalog.keys import refuse_invalid
from ..catalog.schema import clones
from ..errors import Conflict, NotFound, StoreUnavailable
from ..generations.discard import discard, withdraw
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.lease import in_progress
from ..ledger.lease_timing import RESERVED_SECONDS, SUBMISSION_SECONDS
from ..ledger.response import response_of
from ..principal import Principal, require_writer
from ..request import CloneRequest
from ..source import reading_for
from ..stores import Stores
from .begin import adopt_request, hold, insert_clone
from .decision import decide_for, is_same
from .draft import draft_plan
from .parties import Parties
from .resolve import resolve_parties

RunState = Literal["under way", "ended", "none"]


def reserve_for_run(stores: Stores, request: CloneRequest, principal: Principal) -> Clone:
    """Takes the name. The plan is made from the catalog alone; the run looks at the points.

    An unfinished clone that was asked for in the same words is to be resumed, another one is
    discarded. Raises InProgress while a run has it or it waits for one, and what is wrong with the
    request.
    """
    require_writer(principal)
    ledger.note_heartbeats(stores)
    with reading_for(stores, request) as snapshots:
        parties = resolve_parties(snapshots, request, principal)
        found = ledger.unfinished(snapshots.own, parties.organization_id, request.namespace_name)
    decision = decide_for(request, parties, found, stores.clock())
    if found is None:
        return insert_clone(stores, draft_plan(stores, request, parties), principal, None, None)
    if decision == "in progress":
        raise in_progress(found, same=is_same(found, request, parties))
    if decision == "discard":
        discard(stores, found)
        return reserve_for_run(stores, request, principal)
    return _reserve_again(stores, found, request, principal, parties)


def _reserve_again(
    stores: Stores, found: Clone, request: CloneRequest, principal: Principal, parties: Parties
) -> Clone:
    now = stores.clock()
    with stores.catalog.write() as connection:
        current = ledger.get(connection, found.clone_id, lock=True)
        if current.token != found.token or current.is_held(now):
            raise in_progress(current)
        hold(stores, connection, request, parties.source)
        values = ledger.NO_HOLDER | {
            "token": current.token + 1 if current.was_begun else 0,
            "status": "cloning",
            "error": None,
            "run_id": None,
            "principal": principal.to_json(),
            "reserved_at": now,
            "heartbeat_at": now,
            "updated_at": now,
            "finished_at": None,
        }
        connection.execute(
            update(clones).where(clones.c.clone_id == current.clone_id).values(values)
        )
        ledger.mark_namespace(connection, current, "cloning", now)
        adopt_request(connection, current, request, None)
        return ledger.get(connection, current.clone_id)


def submitted(stores: Stores, clone: Clone, run_id: str) -> dict[str, Any]:
    """Records the run that was asked for. Returns the `CloneNamespaceResponse`."""
    ledger.claim(stores, clone.clone_id, run_id)
    with stores.catalog.read() as connection:
        found = ledger.get(connection, clone.clone_id)
        return response_of(connection, found, "cloning") | {"task_id": run_id}


def caller(
    stores: Stores, clone_id: str, request_identity: str, run_id: str, repeats: str | None
) -> Principal | None:
    """Who asked for a clone, for the run that was asked for; None for every other run.

    `repeats` is the run in whose place Dagster has put this one, because its worker died. Raises
    StoreUnavailable as long as it is not on record which run was asked for, Conflict where the
    request was withdrawn or has ended without it, Unauthorized where the caller's key is not valid
    any more.
    """
    with stores.catalog.write() as connection:
        try:
            clone = ledger.get(connection, clone_id, lock=True)
        except NotFound:
            return None
        ledger.refuse_withdrawn(clone)
        if clone.request_identity != request_identity or clone.status not in ledger.UNFINISHED:
            return None
        if clone.reserved_at is not None and clone.run_id is None:
            raise StoreUnavailable(
                f"It is not on record yet which run {clone.namespace_name!r} was reserved for."
            )
        if clone.run_id not in (run_id, repeats):
            return None
        if clone.run_id == run_id and clone.status != "cloning":
            raise Conflict(
                f"The request for {clone.namespace_name!r} ended before its run began; make it "
                "again."
            )
        asked = Principal.from_json(clone.principal)
        refuse_invalid(connection, asked.key_id, stores.clock())
        if clone.reserved_at is not None and clone.run_id != run_id:
            ledger.bind(connection, clone, run_id, stores.clock())
        return asked


# ---- what became of the runs -----------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """An unfinished clone, and what to ask the runs about it."""

    clone_id: str
    run_id: str | None  # None: it is not on record which run it waits for


def list_waiting(connection: Connection) -> list[Waiting]:
    """The clones that count as being made."""
    query = select(clones.c.clone_id, clones.c.run_id).where(clones.c.status == "cloning")
    return [Waiting(row.clone_id, row.run_id) for row in connection.execute(query)]


def count_others(stores: Stores, clone: Clone) -> int:
    """How many clones of the same organization are being made, or wait for it, besides this one."""
    query = select(func.count()).where(
        clones.c.status == "cloning",
        clones.c.organization_id == clone.organization_id,
        clones.c.clone_id != clone.clone_id,
    )
    with stores.catalog.read() as connection:
        return connection.execute(query).scalar_one()


def settle(
    stores: Stores,
    waiting: Waiting,
    state: RunState,
    end: Callable[[str], None] = lambda told: None,
) -> str | None:
    """Brings the ledger in line with what became of a clone's run: a reservation whose run waits is
    renewed, one that has none is withdrawn, and a clone whose run is over and that nobody holds has
    failed. Returns what was recorded, in words; None where there was nothing to say, and where the
    clone has another run than the one that was asked about: the next look asks about that.
    `end` hears that a begun clone has failed, before it is recorded: nobody asks for the run then.
    """
    clone_id = waiting.clone_id
    now = stores.clock()
    ledger.note_heartbeats(stores)
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, clone_id)
    if clone.status != "cloning" or clone.run_id != waiting.run_id:
        return None
    if clone.reserved_at is not None:
        return _settle_reservation(stores, clone, state, now)
    if clone.run_id is None or not _is_gone(clone, state, now):
        return None
    sentence = "The run ended without a word, as when its process is killed; resume the clone."
    with stores.catalog.write() as connection:
        # One that is being written gives a sign of life: its heartbeats wait for that, too.
        current = ledger.get_unless_written(connection, clone_id)
        if current is None or (current.status, current.run_id) != ("cloning", clone.run_id):
            return None
        if not _is_gone(current, state, now):
            return None
        end(sentence)
        ledger.end_run_of(connection, current, clone.run_id, sentence, now)
    return sentence


def _is_gone(clone: Clone, state: RunState, now: datetime) -> bool:
    """Whether nothing is to be expected any more of the run that has a clone, whatever Dagster
    believes: it cannot see a worker on another machine."""
    if state == "under way" and clone.holder_pid is None:
        # Between two steps. The next one may have to wait for its process.
        return clone.silence(now) > timedelta(seconds=RESERVED_SECONDS)
    return not clone.is_held(now)


def _settle_reservation(stores: Stores, clone: Clone, state: RunState, now: datetime) -> str | None:
    if state == "under way":
        mine = (clones.c.clone_id == clone.clone_id, clones.c.reserved_at.is_not(None))
        with stores.catalog.write() as connection:
            connection.execute(update(clones).where(*mine).values(heartbeat_at=now))
        return None
    if clone.run_id is not None:
        sentence = "The run ended before it began the clone; ask for it again, or delete it."
        ledger.fail(stores, clone.clone_id, clone.run_id, sentence)
        return sentence
    if clone.silence(now) < timedelta(seconds=SUBMISSION_SECONDS):
        return None
    sentence = "No run was asked for; ask for the clone again."
    withdraw(stores, clone, sentence)
    return sentence


# ---- the dry run -----------------------------------------------------------------------------
