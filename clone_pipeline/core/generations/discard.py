"""Taking a clone away again: unfinished, or finished and deleted.

Of S3 files its own copies go, where it has some; those of its source are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, delete, update

from ..catalog.schema import (
    clone_digests,
    clone_files,
    clone_resources,
    clone_slices,
    clones,
    namespaces,
)
from ..errors import InProgress
from ..files.remove import Remover, usable_files
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.files import forget_copies
from ..ledger.lease import Lease, release
from ..process import Holder
from ..stores import Stores
from ..vectors.port import VectorStore

# What a clone whose points are gone has to do again.
AFTER_POINTS = ("copy_points", "copy_files", "verify_clone", "publish_clone")

# Asked in the transaction that begins a deletion; raises where it must not be any more.
Check = Callable[[Connection], None]


def discard(stores: Stores, clone: Clone, check: Check | None = None) -> None:
    """Removes what an unfinished clone has made. The ledger keeps that it was.

    The vectors go first: as long as the row is there, what is left can be found and removed.
    Nothing happens to a clone that is not unfinished any more. Raises InProgress while a run makes
    it, or somebody else discards it.
    """
    # Before the store, which a run that makes the clone may have for hours. Whether anything is
    # left to discard is decided where it is taken: there the caller's check comes first.
    with stores.catalog.read() as connection:
        _may_be_taken(ledger.get(connection, clone.clone_id), stores.clock())
    # A reservation that no run has begun has no vectors, and its store need not be free.
    if clone.token == 0:
        _discard(stores, clone, check, None, None)
        return
    with (
        usable_vectors(stores, clone.qdrant_collection) as vectors,
        usable_files(stores, [clone.clone_id]) as files,
    ):
        _discard(stores, clone, check, vectors, files)


@contextmanager
def usable_vectors(stores: Stores, collection: str) -> Iterator[VectorStore]:
    """The vector store, asked something before anything is marked: a deletion that cannot have it
    has changed nothing."""
    with stores.vectors() as vectors:
        vectors.exists(collection)
        yield vectors


def _discard(
    stores: Stores,
    clone: Clone,
    check: Check | None,
    vectors: VectorStore | None,
    files: Remover | None,
) -> None:
    lease = _take(stores, clone, check)
    if lease is None:
        return
    try:
        with lease.kept_alive():
            if vectors is not None:
                _remove_collection(vectors, clone)
            elif lease.token > 1:
                # A run had it for a moment, meanwhile.
                with stores.vectors() as late:
                    _remove_collection(late, clone)
                with usable_files(stores, [clone.clone_id]) as late_files:
                    late_files.remove(clone.clone_id)
            if files is not None:
                lease.check()
                files.remove(clone.clone_id)
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
    mark_discarded(connection, stores, clone.clone_id)


def _remove_collection(vectors: VectorStore, clone: Clone) -> None:
    if clone.plan["lane"] != "stream" and vectors.native is not None:
        # The server may still be filling it, and lets that end first.
        vectors.native.remove(clone.qdrant_collection)
    else:
        vectors.delete(clone.qdrant_collection)


def _may_be_taken(clone: Clone, now: datetime) -> bool:
    """Whether there is something to discard. Raises InProgress."""
    if clone.status not in ledger.UNFINISHED:
        return False
    if clone.is_held(now):
        raise InProgress(f"A run ({clone.run_id}) is making {clone.namespace_name!r}.")
    return True


def _take(stores: Stores, clone: Clone, check: Check | None) -> Lease | None:
    """The remains, held by this process: a run that wakes up late finds that its token is stale,
    and nobody takes them over meanwhile."""
    now = stores.clock()
    with stores.catalog.write() as connection:
        current = ledger.get(connection, clone.clone_id, lock=True)
        if check is not None:
            check(connection)
        if not _may_be_taken(current, now):
            return None
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
        forget_copies(connection, clone.clone_id, "copied")
    return Lease(stores, clone.clone_id, current.token + 1)


def mark_discarded(connection: Connection, stores: Stores, clone_id: str) -> None:
    now = stores.clock()
    for table in (clone_resources, clone_slices, clone_files, clone_digests):
        connection.execute(delete(table).where(table.c.clone_id == clone_id))
    connection.execute(
        update(clones)
        .where(clones.c.clone_id == clone_id)
        .values(status="discarded", updated_at=now, finished_at=now, **ledger.NO_HOLDER)
    )
