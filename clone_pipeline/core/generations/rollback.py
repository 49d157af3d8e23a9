"""Rollback: an earlier generation of a name is live again, and its refreshes are held."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, update

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..catalog.schema import clones, namespaces
from ..errors import Conflict, InProgress
from ..ledger import clones as ledger
from ..stores import Stores
from ..words import Hint, Part
from .alias import settle
from .delete import lock
from .publish import make_previous, replaced_in, rows_named

# The request identity of what is left of a refresh when its target is rolled back: no request's.
ROLLED_BACK = "rolled back"


def rollback(
    stores: Stores, organization_id: str | None, identifier: str, to: int | None = None
) -> Namespace:
    """Brings an earlier generation back, the one that was replaced last if `to` does not name one;
    the present one becomes a previous one.

    Said twice it goes back twice: only `to` brings back what was rolled back from. Policies that
    refresh the namespace are held from then on (see `resume_refreshes`), and what is left of a
    failed refresh is not gone on with: it was planned before. The expiry stays as it is, and a
    Qdrant alias follows.
    Raises NotFound, Conflict where there is nothing to go back to, InProgress while a refresh of
    the same name is being made.
    """
    ledger.note_heartbeats(stores)
    now = stores.clock()
    with stores.catalog.write() as connection:
        found = catalog.resolve(connection, organization_id, identifier)
        # A sweep or a publication may be at it: what they leave is what counts.
        named = rows_named(found.organization_id, found.name)
        lock(connection, named)
        live = catalog.resolve(connection, found.organization_id, found.namespace_id)
        _set_unfinished_aside(connection, live, now)
        back = _way_back(connection, live, to)
        make_previous(connection, namespaces.c.namespace_key == live.key, named, now)
        connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == back.key)
            .values(
                role="live",
                held_at=now if back.generation < live.generation else None,
                expires_at=live.expires_at,
                qdrant_alias=live.qdrant_alias,
                updated_at=now,
            )
        )
        now_live = catalog.by_key(connection, back.key)
    settle(stores, now_live)
    return now_live


def find_rollback(
    connection: Connection, organization_id: str | None, identifier: str, to: int | None = None
) -> tuple[Namespace, Namespace]:
    """What a rollback would change: the live generation, and the one that would take its place.

    Raises NotFound, Conflict where there is nothing to go back to.
    """
    live = catalog.resolve(connection, organization_id, identifier)
    return live, _way_back(connection, live, to)


def _way_back(connection: Connection, live: Namespace, to: int | None) -> Namespace:
    there = catalog.generations(connection, live.organization_id, live.name)
    back = rollback_target(live, there) if to is None else _generation(there, to)
    if back is None:
        raise Conflict(*_no_way_back(live, there, to))
    return back


def _set_unfinished_aside(connection: Connection, live: Namespace, now: datetime) -> None:
    """So that nobody goes on with it: whoever asks for the same again has it discarded first."""
    unfinished = ledger.unfinished(connection, live.organization_id, live.name)
    if unfinished is None:
        return
    if unfinished.is_held(now):
        run = f"the run {unfinished.run_id}" if unfinished.run_id else "a run that waits to begin"
        raise InProgress(
            f"{live.name!r} is being replaced by {run}; wait for it, or cancel it first."
        )
    mine = clones.c.clone_id == unfinished.clone_id
    connection.execute(update(clones).where(mine).values(request_identity=ROLLED_BACK))


def resume_refreshes(stores: Stores, live: Namespace) -> None:
    """Lets the policies go on that refresh a namespace which was rolled back.

    Raises Conflict where another generation was put in its place meanwhile.
    """
    with stores.catalog.write() as connection:
        resumed = connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == live.key, namespaces.c.role == "live")
            .values(held_at=None)
        )
    if resumed.rowcount == 0:
        raise Conflict(f"{live.name!r} has just been replaced; look at it, and say so again.")


def rollback_target(live: Namespace, generations: Iterable[Namespace]) -> Namespace | None:
    """The earlier generation that was live last."""
    earlier = [one for one in generations if _is_kept(one) and one.generation < live.generation]
    return max(earlier, key=replaced_in, default=None)


def _is_kept(namespace: Namespace) -> bool:
    return namespace.role == "previous" and namespace.is_ready


def _generation(generations: Iterable[Namespace], number: int) -> Namespace | None:
    return next((one for one in generations if _is_kept(one) and one.generation == number), None)


def _no_way_back(live: Namespace, generations: Iterable[Namespace], to: int | None) -> list[Part]:
    kept = sorted(one.generation for one in generations if _is_kept(one))
    wanted = "previous generation" if to is None else f"generation {to}"
    sentence = f"{live.name!r} is generation {live.generation} and has no {wanted} to go back to."
    if not kept:
        return [sentence]
    listed = ", ".join(map(str, kept))
    return [f"{sentence} Kept are: {listed}", Hint("; `--to` brings one of them back"), "."]
