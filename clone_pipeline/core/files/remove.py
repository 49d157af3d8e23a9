"""Removes the files that a clone owns: the copies that its rows list, and no other file.

Everything is below the folder of this one clone, which no other one is ever given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ..catalog.schema import clone_files, clones, namespaces
from ..errors import Conflict, NotFound
from ..ids import id_map_from_json
from ..ledger import clones as ledger
from ..ledger.files import read_files
from ..objects.location import FileMap
from ..report import size
from ..stores import Stores
from .refusals import Refused
from .store import Files


@dataclass(frozen=True)
class Owned:
    """The copies of files of some clones: how many, and of what size they are together."""

    files: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        files = "S3 file" if self.files == 1 else "S3 files"
        return f"{self.files:,} {files} of its own ({size(self.bytes)})"


NOTHING_OWNED = Owned()


def read_owned(connection: Connection, clone_ids: Iterable[str | None]) -> Owned:
    """What goes with these clones."""
    query = select(func.count(), func.coalesce(func.sum(clone_files.c.size), 0)).where(
        clone_files.c.clone_id.in_([one for one in clone_ids if one is not None]),
        clone_files.c.state != "missing",
    )
    count, size = connection.execute(query).one()
    return Owned(int(count), int(size))


def owned_by_clone(connection: Connection) -> dict[str, Owned]:
    """The same of every clone that owns files."""
    query = (
        select(clone_files.c.clone_id, func.count(), func.coalesce(func.sum(clone_files.c.size), 0))
        .where(clone_files.c.state != "missing")
        .group_by(clone_files.c.clone_id)
    )
    return {row[0]: Owned(int(row[1]), int(row[2])) for row in connection.execute(query)}


def referring_clones(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    """By the clone that owns files: the clones that refer to its copies, as (clone, name)."""
    query = (
        select(clones.c.files_of, clones.c.clone_id, namespaces.c.namespace_name)
        .join(namespaces, namespaces.c.clone_id == clones.c.clone_id)
        .where(clones.c.files_of.is_not(None))
        .order_by(namespaces.c.namespace_name)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for owner, clone_id, name in connection.execute(query):
        found.setdefault(owner, []).append((clone_id, name))
    return found


class Remover:
    """Removes the copies of clones, through a store that answers."""

    def __init__(self, stores: Stores, owned: dict[str, tuple[Files, FileMap]]) -> None:
        self._stores = stores
        self._owned = owned

    def remove(self, clone_id: str | None) -> None:
        """Removes what a clone owns, unfinished uploads included. Doing it again does no harm.

        Raises StoreUnavailable, StorageFailed.
        """
        if clone_id not in self._owned:
            return
        files, where = self._owned[clone_id]
        # Without the right to list them a store's own rules have to end them.
        with suppress(Refused):
            for key, upload_id in list(files.unfinished(where.bucket, where.prefix)):
                files.abort_parts(where.bucket, key, upload_id)
        rows = read_files(self._stores.catalog, clone_id, "pending", "copied", "refused")
        files.remove(where.bucket, (row.key for row in rows if row.key.startswith(where.prefix)))


@contextmanager
def usable_files(stores: Stores, clone_ids: Iterable[str | None]) -> Iterator[Remover]:
    """What removes the files of these clones; the object store is asked something before anything
    is marked, if one of them has any.

    Raises StoreUnavailable, and Conflict where it is not the store that they were copied to.
    """
    owned: dict[str, FileMap] = {}
    with stores.catalog.read() as connection:
        for clone_id in clone_ids:
            if clone_id is None or not read_owned(connection, [clone_id]).files:
                continue
            plan = ledger.get(connection, clone_id).plan
            files = id_map_from_json(plan["ids"]).files
            if files is not None:
                _refuse_elsewhere(stores, plan["files"], files)
                owned[clone_id] = files
    if not owned:
        yield Remover(stores, {})
        return
    opened = Files.open(stores.files)
    try:
        for clone_id, files in list(owned.items()):
            try:
                opened.region(files.bucket)
            except NotFound:
                del owned[clone_id]  # somebody has removed the bucket with all that was in it
        yield Remover(stores, {one: (opened, files) for one, files in owned.items()})
    finally:
        opened.close()


def _refuse_elsewhere(stores: Stores, planned: dict[str, object] | None, files: FileMap) -> None:
    """A database may have been restored beside the one it comes from. Then the copies that its rows
    tell of are the other's, and only the settings know it."""
    there, ours = (planned or {}).get("endpoint"), stores.files
    if there != ours.endpoint_url:
        raise Conflict(
            f"Its files are at {files.root}, in the S3 at {there or 'AWS'}, and this deployment's "
            f"is at {ours.endpoint_url or 'AWS'}; set S3_ENDPOINT_URL as it was."
        )
    if ours.bucket is None or not files.root.startswith(ours.root):
        copies = f"writes copies below {ours.root}" if ours.bucket else "has no bucket for copies"
        raise Conflict(
            f"Its files are at {files.root}, and this deployment {copies}, so that they may be "
            "another one's; if they are not, set CLONE_FILES_BUCKET and CLONE_FILES_PREFIX as they "
            "were."
        )
