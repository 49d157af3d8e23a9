"""Deletion of a clone with all its generations.

Of S3 files its own copies go, where it has some; those of its source are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..catalog.schema import clones, namespaces
from ..errors import Conflict
from ..files.remove import usable_files
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..stores import Stores
from ..words import Hint, Option
from .discard import Check, discard, mark_discarded, usable_vectors
from .holdings import Holdings


@dataclass(frozen=True)
class Admitted:
    """What a deletion may take besides clones of which there are others: what `load` made, and the
    last proven backup of a policy."""

    loaded: bool = False
    last_backup: bool = False


def delete_clone(
    stores: Stores,
    organization_id: str | None,
    identifier: str,
    admitted: Admitted = Admitted(),
) -> list[Namespace]:
    """Removes a clone with all its generations. Returns what was removed: nothing, where only what
    is left of the replacement of what is no clone was discarded.

    Raises NotFound, Conflict for a namespace that is not a clone and for what is not `admitted`,
    InProgress while a run uses it.
    """
    live, doomed, unfinished = check_deletable(stores, organization_id, identifier, admitted)
    if unfinished is not None:
        discard(stores, unfinished)
    if not doomed:
        return []

    def check(connection: Connection) -> None:
        # Once more, where nobody can begin to read it any more, and nobody deletes another backup.
        lock(
            connection, namespaces.c.namespace_key.in_([one.key for one in doomed]) | _backups(live)
        )
        _check_deletable(connection, stores, live, doomed, admitted)

    remove(stores, doomed, check)
    return doomed


def check_deletable(
    stores: Stores, organization_id: str | None, identifier: str, admitted: Admitted
) -> tuple[Namespace, list[Namespace], Clone | None]:
    """What a deletion would take: the live generation with all others of its name (none, where that
    is no clone and only its replacement goes), and the clone that is not finished there.

    Raises what `delete_clone` does.
    """
    ledger.note_heartbeats(stores)
    with stores.catalog.read() as connection:
        live = catalog.resolve(connection, organization_id, identifier)
        there = catalog.generations(connection, live.organization_id, live.name)
        unfinished = ledger.unfinished(connection, live.organization_id, live.name)
        if unfinished is not None and any(one.clone_id is None for one in there):
            return live, [], unfinished
        _check_deletable(connection, stores, live, there, admitted)
    return live, there, unfinished


def remove(stores: Stores, doomed: list[Namespace], check: Check) -> None:
    """Removes generations of a namespace with their Qdrant collections and their own files.

    `check` locks them, and raises where they must not go. Raises StoreUnavailable before anything
    is touched. Where it ends half-way, what is left is `failed`, and is removed by doing it again.
    """
    if not doomed:
        return
    with (
        usable_vectors(stores, doomed[0].qdrant_collection) as vectors,
        usable_files(stores, [one.clone_id for one in doomed]) as files,
    ):
        with stores.catalog.write() as connection:
            check(connection)
            # Should this end half-way, nobody takes what is left for whole.
            for generation in doomed:
                connection.execute(
                    update(namespaces).where(_is(generation)).values(clone_status="failed")
                )
        for generation in doomed:
            vectors.delete(generation.qdrant_collection)
            files.remove(generation.clone_id)
    with stores.catalog.write() as connection:
        for generation in doomed:
            connection.execute(delete(namespaces).where(_is(generation)))
            if generation.clone_id is not None:
                mark_discarded(connection, stores, generation.clone_id)


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


def _backups(live: Namespace) -> ColumnElement[bool]:
    """Every namespace of the organization that a policy may have made."""
    made = select(clones.c.clone_id).where(
        clones.c.organization_id == live.organization_id, clones.c.policy.is_not(None)
    )
    return namespaces.c.clone_id.in_(made)


def _check_deletable(
    connection: Connection,
    stores: Stores,
    live: Namespace,
    doomed: list[Namespace],
    admitted: Admitted,
) -> None:
    if live.adopted_at is not None:
        raise Conflict(
            f"{live.name!r} is an adopted Qdrant collection, which is never deleted here",
            Hint("; `clone-pipeline release` forgets it"),
            ".",
        )
    if not all(generation.is_ours for generation in doomed):
        raise Conflict(
            f"{live.name!r} was not made by clone-pipeline; only what it made is deleted here."
        )
    if not admitted.loaded and any(generation.clone_id is None for generation in doomed):
        raise Conflict(
            f"{live.name!r} is no clone: it was loaded from a bundle",
            Hint("; `--loaded` deletes it all the same"),
            ".",
        )
    holdings = Holdings.read(connection, live.organization_id, stores.clock())
    policy = holdings.last_proven().get(live.key)
    if policy is not None and not admitted.last_backup:
        raise Conflict(
            f"{live.name!r} is the last proven backup of the policy {policy!r}; to delete it all "
            "the same, set ",
            Option("last_backup", "true"),
            ".",
        )
    if (reason := holdings.files_needed(doomed)) is not None:
        raise Conflict(
            f"{live.name!r} is not deleted, because {reason}; delete that first, or make it anew "
            "with ",
            Option("files", "copy"),
            ".",
        )
    for generation in doomed:
        if holdings.qdrant_collections[generation.qdrant_collection] > 1:
            raise Conflict(
                f"Another namespace uses the Qdrant collection {generation.qdrant_collection} of "
                f"{live.name!r}, so it is not deleted."
            )
        ledger.refuse_in_use(connection, generation, stores.clock())
