"""A load's claim on its Qdrant collection, kept in the table `loads`.

It is there before the collection is made and goes in the transaction that makes the namespace. So
whatever moment a load is killed at, either the namespace is there with its points, or a row names
the collection that has to go. Only the holder of the row may touch the collection; the database's
clock is the only one that is asked.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from ..catalog.engine import Catalog
from ..catalog.schema import clones, loads, namespaces
from ..errors import CloneError, Conflict, InProgress, LeaseLost
from ..process import Holder, silence
from ..vectors.port import VectorStore
from ..words import Hint, Option
from .check import Bundle

log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 60
_UNFINISHED_CLONES = ("cloning", "failed")
_LOADED_BEFORE = " (it was loaded before: `clone-pipeline delete {} --loaded` removes that one)"
_NOBODY = 0  # the process id of a load that gave up and could not clean up
_database_time: ColumnElement[datetime] = literal_column(
    "CURRENT_TIMESTAMP", loads.c.heartbeat_at.type
)
_rows = select(loads, _database_time.label("now"))


@dataclass(frozen=True)
class Reservation:
    """The right to write a Qdrant collection that no namespace refers to yet. `resumed`: it may be
    there already, with what a load of the same namespace wrote before it was killed."""

    catalog: Catalog
    vectors: VectorStore
    collection: str
    holder: Holder
    resumed: bool = False

    def heartbeat(self) -> None:
        """Raises LeaseLost where another process took this load for dead."""
        with self.catalog.write() as connection:
            held = connection.execute(
                update(loads).where(self._mine()).values(heartbeat_at=_database_time)
            )
            if held.rowcount == 0:
                raise self._lost()

    def finish(self, connection: Connection) -> None:
        """Ends it in the transaction that makes the namespace. Raises LeaseLost."""
        if connection.execute(delete(loads).where(self._mine())).rowcount == 0:
            raise self._lost()

    def give_up(self) -> None:
        """Removes the collection and the claim. Where a store fails, the next load removes them.

        Nothing is touched when the claim is gone: the namespace was made after all (a connection
        may break after a commit), or another process has taken over.
        """
        try:
            self.heartbeat()
            self.remove()
        except LeaseLost:
            return
        except CloneError as error:
            log.warning(
                "what a failed load left in Qdrant collection %s could not be removed: %s",
                self.collection,
                error,
            )

    def remove(self) -> None:
        """Removes the collection, then the claim. Where that fails, it is nobody's claim."""
        try:
            self.vectors.delete(self.collection)
        except BaseException:
            with suppress(CloneError), self.catalog.write() as connection:
                connection.execute(update(loads).where(self._mine()).values(holder_pid=_NOBODY))
            raise
        with self.catalog.write() as connection:
            connection.execute(delete(loads).where(self._mine()))

    def _mine(self) -> ColumnElement[bool]:
        return and_(
            loads.c.qdrant_collection == self.collection,
            loads.c.holder_host == self.holder.host,
            loads.c.holder_pid == self.holder.pid,
            loads.c.holder_started == self.holder.started,
        )

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"Another process took the load into Qdrant collection {self.collection} for dead and "
            "removed what it had written; load the bundle again."
        )


def reserve(catalog: Catalog, vectors: VectorStore, bundle: Bundle) -> Reservation:
    """Raises Conflict where the namespace or its Qdrant collection exists, InProgress where
    another load is making it."""
    holder = Holder.current()
    collection = bundle.qdrant_collection
    with catalog.write() as connection:
        refuse_taken(connection, bundle)
        _refuse_running(connection, bundle)
        try:
            connection.execute(
                insert(loads).values(
                    qdrant_collection=collection,
                    namespace_id=bundle.namespace["namespace_id"],
                    **_claim(holder),
                )
            )
        except IntegrityError:
            raise InProgress(f"Another load into Qdrant collection {collection} began.") from None
        # With the row written, so that no other load can make it meanwhile, and not committed, so
        # that nobody who finds the row takes a collection that was there before for our leftover.
        if vectors.exists(collection):
            raise Conflict(
                f"A Qdrant collection {collection} exists already, which this bundle did not "
                "make; load it with ",
                Option("new_ids"),
                ", or name another one as infrastructure.qdrant_collection in namespace.json.",
            )
    return Reservation(catalog, vectors, collection, holder)


def resume(catalog: Catalog, vectors: VectorStore, bundle: Bundle) -> Reservation | None:
    """The claim of a load of the same namespace that is dead; None where there is none. Raises
    Conflict where the namespace exists meanwhile."""
    collection = bundle.qdrant_collection
    this = and_(
        loads.c.qdrant_collection == collection,
        loads.c.namespace_id == bundle.namespace["namespace_id"],
    )
    with catalog.read() as connection:
        refuse_taken(connection, bundle)
        row = connection.execute(_rows.where(this)).mappings().first()
    if row is None:
        return None
    _note_heartbeat(catalog, row)
    if not _is_dead(row) or not _take_over(catalog, row):
        return None
    return Reservation(catalog, vectors, collection, Holder.current(), resumed=True)


def refuse_taken(connection: Connection, bundle: Bundle) -> None:
    """Raises Conflict where the id or the name is an id or a name already: they share one
    look-up. An id is one in all organizations."""
    identity, name = (bundle.namespace[key] for key in ("namespace_id", "namespace_name"))
    query = select(namespaces.c.loaded_at, namespaces.c.namespace_name)
    own = query.where(namespaces.c.organization_id == bundle.organization_id)
    taken = (
        ("id", identity, query.where(namespaces.c.namespace_id == identity)),
        ("id", identity, own.where(namespaces.c.namespace_name == identity)),
        ("name", name, own.where(namespaces.c.namespace_name == name)),
        ("name", name, own.where(namespaces.c.namespace_id == name)),
    )
    for what, value, rows in taken:
        row = connection.execute(rows.limit(1)).first()
        if row is not None:
            loaded = row.loaded_at is not None and what == "id"
            raise Conflict(
                f"A namespace with the {what} {value!r} (as its id or its name) exists already; "
                "load the bundle with ",
                Option("new_ids" if what == "id" else "namespace_name"),
                Hint(_LOADED_BEFORE.format(row.namespace_name) if loaded else ""),
                ".",
            )
    _refuse_planned(connection, bundle.qdrant_collection)


def _refuse_planned(connection: Connection, collection: str) -> None:
    """A clone records its Qdrant collection before it makes it."""
    planned = select(clones.c.namespace_name).where(
        clones.c.qdrant_collection == collection, clones.c.status.in_(_UNFINISHED_CLONES)
    )
    name = connection.execute(planned.limit(1)).scalar()
    if name is not None:
        raise Conflict(
            f"The Qdrant collection {collection} belongs to the unfinished clone {name!r}; resume "
            "or delete it, or change infrastructure.qdrant_collection in namespace.json."
        )


def _refuse_running(connection: Connection, bundle: Bundle) -> None:
    running = select(loads).where(
        (loads.c.qdrant_collection == bundle.qdrant_collection)
        | (loads.c.namespace_id == bundle.namespace["namespace_id"])
    )
    row = connection.execute(running.limit(1)).mappings().first()
    if row is not None:
        raise InProgress(
            f"A load of namespace {row['namespace_id']} into Qdrant collection "
            f"{row['qdrant_collection']} is running (process {row['holder_pid']} on "
            f"{row['holder_host']}); wait for it, or stop it and load again.",
            qdrant_collection=row["qdrant_collection"],
        )


def discard_dead_loads(
    catalog: Catalog, vectors: VectorStore, keep: str | None = None
) -> list[str]:
    """Removes what loads left behind that were killed, but for the Qdrant collection `keep`; the
    names of their collections."""
    with catalog.read() as connection:
        rows = connection.execute(_rows).mappings().all()
    removed = []
    for row in rows:
        if row["qdrant_collection"] == keep:
            continue
        _note_heartbeat(catalog, row)
        if _is_dead(row) and _take_over(catalog, row):
            Reservation(catalog, vectors, row["qdrant_collection"], Holder.current()).remove()
            removed.append(str(row["qdrant_collection"]))
    return removed


def _is_dead(row: RowMapping) -> bool:
    """Known of a process on this host; of another one's after a silence."""
    dead = _holder(row).is_dead()
    if dead is not None:
        return dead
    seen = (row["heartbeat_at"], row["seen_heartbeat_at"], row["seen_at"])
    return silence(*seen, row["now"]) > timedelta(seconds=_HEARTBEAT_SECONDS)


def _note_heartbeat(catalog: Catalog, row: RowMapping) -> None:
    """As `ledger.note_heartbeats`: the database's clock may be set back, too."""
    seen = row["seen_heartbeat_at"] == row["heartbeat_at"] and row["seen_at"] <= row["now"]
    if seen or row["heartbeat_at"] <= row["now"]:
        return
    this = loads.c.qdrant_collection == row["qdrant_collection"]
    noted = {"seen_heartbeat_at": loads.c.heartbeat_at, "seen_at": _database_time}
    with catalog.write() as connection:
        connection.execute(update(loads).where(this).values(noted))


def _take_over(catalog: Catalog, row: RowMapping) -> bool:
    """Makes a dead load's claim ours in one step, so that nobody else removes what it names.

    A row that a transaction holds is being finished: a load that is only silent is left alone
    then. One that is dead for sure is waited for, until the database has noticed its end.
    """
    skip_locked = _holder(row).is_dead() is None
    this = loads.c.qdrant_collection == row["qdrant_collection"]
    holder = Holder.current()
    with catalog.write() as connection:
        locked = _rows.where(this).with_for_update(skip_locked=skip_locked)
        found = connection.execute(locked).mappings().first()
        if found is None or not _is_dead(found):
            return False
        connection.execute(update(loads).where(this).values(_claim(holder)))
    return True


def _holder(row: RowMapping) -> Holder:
    return Holder(row["holder_host"], row["holder_pid"], row["holder_started"])


def _claim(holder: Holder) -> dict[str, Any]:
    return {
        "holder_host": holder.host,
        "holder_pid": holder.pid,
        "holder_started": holder.started,
        "heartbeat_at": _database_time,
    }
