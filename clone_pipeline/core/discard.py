"""Taking a clone away again: unfinished, or finished and deleted. S3 files are never touched."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from . import ledger
from .catalog import namespaces as catalog
from .catalog.namespaces import Namespace
from .catalog.schema import clone_resources, clone_slices, clones, namespaces
from .errors import Conflict, InProgress
from .lease import Lease, release
from .ledger import Clone
from .process import Holder
from .stores import Stores
from .vectors.port import VectorStore

# What a clone whose points are gone has to do again.
AFTER_POINTS = ("copy_points", "verify_clone", "publish_clone")

# Asked in the transaction that begins a deletion; raises where it must not be any more.
Check = Callable[[Connection], None]


def discard(stores: Stores, clone: Clone, check: Check | None = None) -> None:
    """Removes what an unfinished clone has made. The ledger keeps that it was.

    The vectors go first: as long as the row is there, what is left can be found and removed.
    Nothing happens to a clone that is not unfinished any more. Raises InProgress while a run makes
    it, or somebody else discards it.
    """
    lease = _take(stores, clone, check)
    if lease is None:
        return
    try:
        # A reservation that no run has begun has no vectors, and its store need not be free.
        if lease.token > 1:
            with stores.vectors() as vectors:
                _remove_collection(vectors, clone)
        with lease.write() as connection:
            _remove_rows(connection, stores, clone)
    except BaseException:
        # Else nobody could touch the remains as long as this process lives.
        release(lease)
        raise


def withdraw(stores: Stores, clone: Clone, why: str) -> None:
    """Gives a reservation up: a new clone is gone without a trace but its row in the ledger, one
    that was to be resumed is `failed` again. Nothing happens to one that a run has."""
    now = stores.clock()
    with stores.catalog.write() as connection:
        current = ledger.get(connection, clone.clone_id, lock=True)
        if current.reserved_at is None or current.run_id is not None:
            return
        if current.was_begun:
            failed = {"status": "failed", "error": why, "updated_at": now, "finished_at": now}
            mine = update(clones).where(clones.c.clone_id == clone.clone_id)
            connection.execute(mine.values(**failed, **ledger.NO_HOLDER))
            ledger.mark_namespace(connection, current, "failed", now)
        else:
            _remove_rows(connection, stores, current)


def _remove_rows(connection: Connection, stores: Stores, clone: Clone) -> None:
    connection.execute(
        delete(namespaces).where(
            namespaces.c.namespace_key == clone.namespace_key,
            namespaces.c.clone_id == clone.clone_id,
        )
    )
    _forget(connection, stores, clone.clone_id)


def _remove_collection(vectors: VectorStore, clone: Clone) -> None:
    from .vectors.native import remove_collection
    from .vectors.server import ServerStore

    if clone.plan["lane"] == "native" and isinstance(vectors, ServerStore):
        # The server may still be filling it, and lets that end first.
        remove_collection(vectors, clone.qdrant_collection)
    else:
        vectors.delete(clone.qdrant_collection)


def _take(stores: Stores, clone: Clone, check: Check | None) -> Lease | None:
    """The remains, held by this process: a run that wakes up late finds that its token is stale,
    and nobody takes them over meanwhile."""
    now = stores.clock()
    with stores.catalog.write() as connection:
        current = ledger.get(connection, clone.clone_id, lock=True)
        if check is not None:
            check(connection)
        if current.status not in ledger.UNFINISHED:
            return None
        if current.is_held(now):
            raise InProgress(f"A run ({current.run_id}) is making {clone.namespace_name!r}.")
        taken = connection.execute(
            update(clones)
            .where(clones.c.clone_id == clone.clone_id, clones.c.token == current.token)
            .values(
                token=current.token + 1,
                status="failed",
                qdrant_created=False,
                reserved_at=None,
                **ledger.holder_values(Holder.current(), now),
            )
        )
        if taken.rowcount == 0:
            raise InProgress(f"Somebody else has just taken {clone.namespace_name!r} over.")
        # Should this end half-way and the clone be resumed, its points are copied and proven anew.
        ledger.forget_reports(connection, clone.clone_id, AFTER_POINTS)
    return Lease(stores, clone.clone_id, current.token + 1)


def delete_clone(stores: Stores, organization_id: str | None, identifier: str) -> list[Namespace]:
    """Removes a clone with all its generations. Returns what was removed: nothing, where it was
    not made by us and only what is left of its replacement was discarded.

    Raises NotFound, Conflict for a namespace that is not a clone, InProgress while a run uses it.
    """
    with stores.catalog.read() as connection:
        live = catalog.resolve(connection, organization_id, identifier)
        doomed = catalog.generations(connection, live.organization_id, live.name)
        unfinished = ledger.unfinished(connection, live.organization_id, live.name)
        only_remains = unfinished is not None and any(one.clone_id is None for one in doomed)
        if not only_remains:
            _check_deletable(connection, stores, live, doomed)
    if unfinished is not None:
        discard(stores, unfinished)
    if only_remains:
        return []

    def check(connection: Connection) -> None:
        # Once more, where nobody can begin to read it any more.
        lock(connection, namespaces.c.namespace_key.in_([one.key for one in doomed]))
        _check_deletable(connection, stores, live, doomed)

    remove(stores, doomed, check)
    return doomed


def remove(stores: Stores, doomed: list[Namespace], check: Check) -> None:
    """Removes generations of a namespace with their Qdrant collections.

    `check` locks them, and raises where they must not go. Where it ends half-way, what is left is
    `failed`, and is removed by doing it again.
    """
    with stores.catalog.write() as connection:
        check(connection)
        # Should this end half-way, nobody takes what is left for whole.
        for generation in doomed:
            connection.execute(
                update(namespaces).where(_is(generation)).values(clone_status="failed")
            )
    with stores.vectors() as vectors:
        for generation in doomed:
            vectors.delete(generation.qdrant_collection)
    with stores.catalog.write() as connection:
        for generation in doomed:
            connection.execute(delete(namespaces).where(_is(generation)))
            if generation.clone_id is not None:
                _forget(connection, stores, generation.clone_id)


def lock(connection: Connection, which: ColumnElement[bool]) -> None:
    """Holds rows of `namespaces` until the transaction ends. A clone that begins holds its
    source's for that moment; all take them in one order, so that nobody waits in a circle."""
    rows = select(namespaces.c.namespace_key).where(which)
    connection.execute(rows.order_by(namespaces.c.namespace_key).with_for_update())


def _is(generation: Namespace) -> ColumnElement[bool]:
    """This generation and no other: SQLite gives the key of a deleted row out again."""
    return and_(
        namespaces.c.namespace_key == generation.key,
        namespaces.c.clone_id == generation.clone_id,
    )


def _check_deletable(
    connection: Connection, stores: Stores, live: Namespace, doomed: list[Namespace]
) -> None:
    for generation in doomed:
        if generation.clone_id is None:
            raise Conflict(
                f"{live.name!r} was not made by clone-pipeline; only clones are deleted here."
            )
        held = ledger.list_unfinished_held(connection, generation.key, stores.clock())
        if held:
            raise InProgress(
                f"{live.name!r} is in use by the run {held[0].run_id}, which makes "
                f"{held[0].namespace_name!r}; wait for it, or cancel it first."
            )


def _forget(connection: Connection, stores: Stores, clone_id: str) -> None:
    now = stores.clock()
    for table in (clone_resources, clone_slices):
        connection.execute(delete(table).where(table.c.clone_id == clone_id))
    connection.execute(
        update(clones)
        .where(clones.c.clone_id == clone_id)
        .values(status="discarded", updated_at=now, finished_at=now, **ledger.NO_HOLDER)
    )
