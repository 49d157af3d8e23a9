"""The namespace that a restore test makes of an archive, from its name to its end."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from ..catalog import namespaces as catalog
from ..errors import CloneError, NotFound
from ..generations.delete import Admitted, delete_clone
from ..stores import Stores
from . import records
from .records import Archive

# A test that is at work says so at its beginning; none takes longer.
_STAYS = timedelta(days=1)


def begin(stores: Stores, archive: Archive) -> str:
    """Its name, which is noted before it is made, so that what a killed test leaves is found. What
    one has left of this very archive goes now. Raises what the stores raise."""
    name = f"restore_test_archive_{archive.key}"
    if archive.scratch is not None:
        drop(stores, archive, archive.scratch)
    with stores.catalog.write() as connection:
        records.change(connection, archive.key, stores.clock(), scratch=name)
    return name


def drop(stores: Stores, archive: Archive, name: str) -> None:
    """Removes it, if it is there, and the note. Raises what the stores raise."""
    with stores.catalog.read() as connection:
        live = catalog.find_named(connection, archive.organization_id, name)
    if live is not None and live.loaded_at is not None:
        with suppress(NotFound):
            delete_clone(stores, archive.organization_id, name, Admitted(loaded=True))
    with stores.catalog.write() as connection:
        records.change(connection, archive.key, stores.clock(), scratch=None)


def drop_killed(stores: Stores, organization_id: str | None) -> list[str]:
    """Removes what tests have left that were killed; the names. What cannot be dropped now is left
    to the next time."""
    with stores.catalog.read() as connection:
        left = records.with_scratch(connection, organization_id)
    dropped = []
    for archive in left:
        if archive.scratch is None or archive.updated_at + _STAYS > stores.clock():
            continue
        try:
            drop(stores, archive, archive.scratch)
            dropped.append(archive.scratch)
        except CloneError:
            continue
    return dropped
