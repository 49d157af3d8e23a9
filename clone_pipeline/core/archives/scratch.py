"""The namespace that a restore test makes of an archive, from its name to its end.

It is noted with the archive before it is made, with the run and the process whose it is: so that
what a killed test leaves is found, and two tests of one archive at once do not share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ..catalog import namespaces as catalog
from ..errors import CloneError, InProgress, LeaseLost, NotFound
from ..generations.delete import Admitted, delete_clone
from ..ledger.beside import repeating
from ..ledger.lease_timing import HEARTBEAT_SECONDS, LEASE_SECONDS
from ..process import Holder
from ..stores import Stores
from . import records
from .records import Archive

Tester = dict[str, Any]


@contextmanager
def claimed(
    stores: Stores, archive: Archive, run_id: str, say: Callable[[str], None]
) -> Iterator[str]:
    """The namespace's name, for the block to make it; at the end it is dropped, or left to the
    sweep where that cannot be done now. What a test has left that was killed goes first.

    Raises InProgress where another run tests this archive, LeaseLost at the end where another one
    took this test for dead, and what the stores raise.
    """
    name = f"restore_test_archive_{archive.key}"
    tester = _claim(stores, archive, name, run_id)

    def beat() -> None:
        with suppress(CloneError):  # a busy or absent catalog: the test itself will hear of it
            _note(stores, archive, tester, scratch=name)

    try:
        with repeating("restore-test", HEARTBEAT_SECONDS, beat):
            _remove(stores, archive.organization_id, name)
            yield name
    except BaseException:
        with suppress(CloneError):
            _give_up(stores, archive, name, tester, say)
        raise
    _give_up(stores, archive, name, tester, say)


def drop_killed(stores: Stores, organization_id: str | None) -> list[str]:
    """Removes what tests have left that were killed; the names. What cannot be dropped now is left
    to the next time."""
    with stores.catalog.read() as connection:
        left = records.with_scratch(connection, organization_id)
    dropped = []
    for archive in left:
        name = str(archive.scratch)
        with suppress(CloneError):
            tester = _claim(stores, archive, name, None)
            if _give_up(stores, archive, name, tester, lambda _: None):
                dropped.append(name)
    return dropped


def _claim(stores: Stores, archive: Archive, name: str, run_id: str | None) -> Tester:
    tester = {"run_id": run_id, **asdict(Holder.current())}
    with stores.catalog.write() as connection:
        found = records.get(connection, archive.key, lock=True)
        now = stores.clock()
        if found.tester is not None and _is_at_work(found.tester, run_id, found.updated_at, now):
            raise InProgress(
                f"{archive.address} is being restored for a test by another run "
                f"({found.tester['run_id'] or 'the sweep'}); wait for it.",
                run_id=found.tester["run_id"],
            )
        records.change(connection, archive.key, now, scratch=name, tester=tester)
    return tester


def _is_at_work(tester: Tester, run_id: str | None, heard_at: datetime, now: datetime) -> bool:
    """Whether another run's process lives; of one that cannot be seen from here, whether it was
    heard of a moment ago."""
    if run_id is not None and tester["run_id"] == run_id:
        return False
    dead = Holder(tester["host"], tester["pid"], tester["started"]).is_dead()
    if dead is not None:
        return not dead
    return now - heard_at < timedelta(seconds=LEASE_SECONDS)


def _note(stores: Stores, archive: Archive, mine: Tester, **values: Any) -> bool:
    """Whether the test is still mine: then the values are noted."""
    with stores.catalog.write() as connection:
        still_mine = records.get(connection, archive.key, lock=True).tester == mine
        if still_mine:
            records.change(connection, archive.key, stores.clock(), **values)
    return still_mine


def _give_up(
    stores: Stores,
    archive: Archive,
    name: str,
    tester: Tester,
    say: Callable[[str], None],
) -> bool:
    """Whether it is gone; what cannot be dropped now is nobody's from then on. Raises LeaseLost."""
    if not _note(stores, archive, tester, scratch=name):
        raise LeaseLost(
            f"Another run took this test of {archive.address} for dead, and tests it now."
        )
    say(f"Dropping {name}.")
    try:
        _remove(stores, archive.organization_id, name)
    except CloneError as error:
        _note(stores, archive, tester, tester=None)
        say(f"{name} cannot be dropped now, and is left to the sweep: {error}")
        return False
    return _note(stores, archive, tester, scratch=None, tester=None)


def _remove(stores: Stores, organization_id: str, name: str) -> None:
    with stores.catalog.read() as connection:
        live = catalog.find_named(connection, organization_id, name)
    if live is not None and live.loaded_at is not None:
        with suppress(NotFound):
            delete_clone(stores, organization_id, name, Admitted(loaded=True))
