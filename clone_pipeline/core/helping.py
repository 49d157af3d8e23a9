"""Helping: a process beside the runs works on the slices that they offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import and_, case, func, or_, select

from .catalog.schema import clone_slices, clones
from .errors import CloneError, InvalidRequest, LeaseLost, unexpected
from .ledger import clones as ledger
from .ledger.claims import DONE, Task
from .ledger.clones import Clone
from .ledger.lease import Lease
from .ledger.lease_timing import CLAIM_SECONDS
from .ledger.meter import Meter
from .ledger.work import Work
from .points.step import help_copying
from .stores import Stores
from .verify import help_proving

# Where there is nothing to do, it is looked again after so long; a clone on which something went
# wrong is left to others for so long.
PAUSE_SECONDS = 2.0
ASIDE_SECONDS = 30.0

_HELP: dict[Task, tuple[Callable[[Work], None], str]] = {
    "copy": (help_copying, "Copied"),
    "prove": (help_proving, "Proved"),
}


def refuse_alone(stores: Stores) -> None:
    """Raises InvalidRequest where a run does everything itself."""
    if not stores.lets_others_help:
        lacking = "its catalog is SQLite" if stores.catalog.is_sqlite else "its Qdrant is embedded"
        raise InvalidRequest(
            f"There is nothing to help with in this deployment, because {lacking}, so that a run "
            "does everything itself; helpers need a PostgreSQL catalog (CATALOG_URL) and a Qdrant "
            "server (QDRANT_URL)."
        )


class Helper:
    """Works on what runs offer. `tell` hears of each clone that it has helped with."""

    def __init__(self, stores: Stores, tell: Callable[[str], None]) -> None:
        self._stores, self._tell = stores, tell
        self._aside: dict[str, float] = {}  # until when, by the clock of this process

    def help(self) -> bool:
        """Helps with one clone as long as there is a slice for it. Whether there was one."""
        clone = self._find()
        if clone is None or clone.offered is None:
            return False
        task: Task = "copy" if clone.offered == "copy" else "prove"
        meter = Meter(self._stores.clock)
        lease = Lease(self._stores, clone.clone_id, clone.token, helps=task)
        work = Work(self._stores, clone, lease, self._stores.clock(), meter)
        function, doing = _HELP[task]
        try:
            work.refuse_gone()
            function(work)
        except LeaseLost:
            pass  # all is done, or the run is over
        except Exception as error:
            self._aside[clone.clone_id] = time.monotonic() + ASIDE_SECONDS
            said = error if isinstance(error, CloneError) else unexpected(error)
            self._tell(f"{clone.namespace_name!r} is left to others for a while: {said.message}")
        if meter.done:
            self._tell(f"{doing} {meter.done:,} points of {clone.namespace_name!r}.")
        return True

    def _find(self) -> Clone | None:
        """Of the clones that offer something that nobody has, the one with the fewest helpers."""
        self._aside = {key: it for key, it in self._aside.items() if it > time.monotonic()}
        slices, now = clone_slices.c, func.clock_timestamp()
        silent = slices.heartbeat_at < now - timedelta(seconds=CLAIM_SECONDS)
        has_it = and_(slices.holder_host.is_not(None), ~silent)
        is_open = or_(
            *(and_(clones.c.offered == task, ~done) for task, done in DONE.items()),
        )
        held = func.count(case((has_it, 1)))
        query = (
            select(clones.c.clone_id)
            .join(clone_slices, slices.clone_id == clones.c.clone_id)
            .where(clones.c.status == "cloning", clones.c.offered.is_not(None), is_open)
            .where(clones.c.clone_id.not_in(list(self._aside)))
            .group_by(clones.c.clone_id)
            .having(func.count() > held)
            .order_by(held, clones.c.clone_id)
            .limit(1)
        )
        with self._stores.catalog.read() as connection:
            found = connection.execute(query).scalar()
            return None if found is None else ledger.get(connection, found)
