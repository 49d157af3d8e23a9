"""A clone that is reserved for a run that has yet to begin: how a request becomes a run elsewhere.

The name is taken, the ids are final and the caller is on record before a run is asked for. The run
finds its reservation by the tag `clone/id` (`reserve.begin`), and acts as that caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from . import ledger
from .catalog.schema import clones
from .discard import discard, withdraw
from .errors import InProgress
from .ledger import Clone
from .notices import warnings
from .plan import draft_plan, measure_points
from .principal import Principal
from .reinstate import sentences
from .request import CloneRequest
from .reserve import adopt_request, hold_source, insert_clone
from .resolve import Parties, require_writer, resolve_parties
from .response import response_of
from .stores import Stores

# Longer than asking for a run may take: until then nobody takes a reservation without one for lost.
SUBMISSION_SECONDS = 60.0

RunState = Literal["under way", "ended", "none"]


def reserve_for_run(stores: Stores, request: CloneRequest, principal: Principal) -> Clone:
    """Takes the name. The plan is made from the catalog alone; the run looks at the points.

    An unfinished clone that was asked for in the same words is to be resumed, another one is
    discarded. Raises InProgress while a run has it or it waits for one, and what is wrong with the
    request.
    """
    require_writer(principal)
    with stores.catalog.read() as connection:
        parties = resolve_parties(connection, request, principal)
        name = request.namespace_name
        found = ledger.unfinished(connection, parties.organization_id, name)
    if found is None:
        return insert_clone(stores, draft_plan(stores, request, parties), principal, None, None)
    if found.is_held(stores.clock()):
        raise _in_progress(found)
    same_source = found.source_namespace_key == parties.source.key
    if found.request_identity != request.identity() or not same_source:
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
            raise _in_progress(current)
        hold_source(connection, parties.source)
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


def _in_progress(clone: Clone) -> InProgress:
    return InProgress(
        f"Another run ({clone.run_id or 'not begun yet'}) is making {clone.namespace_name!r}; wait "
        "for it, or cancel it first.",
        run_id=clone.run_id,
    )


# ---- what became of the runs -----------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """An unfinished clone, and what to ask the runs about it."""

    clone_id: str
    run_id: str | None


def list_waiting(connection: Connection) -> list[Waiting]:
    """The clones that count as being made."""
    query = select(clones.c.clone_id, clones.c.run_id).where(clones.c.status == "cloning")
    return [Waiting(row.clone_id, row.run_id) for row in connection.execute(query)]


def settle(stores: Stores, clone_id: str, run_id: str | None, state: RunState) -> str | None:
    """Brings the ledger in line with what became of a clone's run: a reservation whose run waits is
    renewed, one that has none is withdrawn, and a clone whose run is over and that nobody holds has
    failed. Returns what was recorded, in words; None where there was nothing to say.
    """
    now = stores.clock()
    if run_id is not None:
        ledger.claim(stores, clone_id, run_id)
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, clone_id)
    if clone.status != "cloning":
        return None
    if clone.reserved_at is not None:
        return _settle_reservation(stores, clone, state, now)
    gone = clone.holder_lives() is False or (state != "under way" and not clone.is_held(now))
    if not gone or clone.run_id is None:
        return None
    sentence = "The run ended without a word, as when its process is killed; resume the clone."
    ledger.fail(stores, clone_id, clone.run_id, sentence)
    return sentence


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
    reserved_at = clone.reserved_at or now
    if now - reserved_at < timedelta(seconds=SUBMISSION_SECONDS):
        return None
    sentence = "No run was asked for; ask for the clone again."
    withdraw(stores, clone, sentence)
    return sentence


# ---- the dry run -----------------------------------------------------------------------------


def plan_for(stores: Stores, request: CloneRequest, principal: Principal) -> dict[str, Any]:
    """What a clone would do; writes nothing.

    The embedded Qdrant admits one process at a time, and a service must not take it from the runs:
    there the points are not looked at, and the plan says so. Raises what is wrong with the request.
    """
    with stores.catalog.read() as connection:
        parties = resolve_parties(connection, request, principal)
    draft = draft_plan(stores, request, parties)
    embedded = stores.vector_address.url is None
    made = draft if embedded else measure_points(stores, draft)
    shown = {key: value for key, value in made.to_json().items() if key not in _NOT_SHOWN}
    if embedded:
        shown["counts"] = {**shown["counts"], "points": None}
        shown["warnings"] = [
            "The points are counted when the run plans: the embedded Qdrant is left to the runs.",
            *sentences(draft.reinstated),
            *warnings(request, draft.resources, draft.references, points=1),
        ]
    return shown


# For machines, and large.
_NOT_SHOWN = ("ids", "qdrant_config", "catalog_mark", "source_mark")
