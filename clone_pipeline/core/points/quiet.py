"""The points of a refresh whose source nobody has written to since the live generation was proven:
none is read, copied or written.

The clone takes over what is known of the live generation's slices. Whether its records are the same
too, the proof finds; where they are not, its points are copied after all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update

from ..catalog.schema import clone_slices, clones
from ..ledger import clones as ledger
from ..ledger.stored import StoredBase
from ..ledger.work import Work
from ..outputs import Consistency
from ..refresh.marks import mark
from ..refresh.quiet import is_quiet
from ..report import StepReport
from ..vectors.port import VectorStore
from .progress import Progress
from .reports import report
from .retry import Retry

_TAKEN_OVER = ("slice", "bounds", "cursor", "points", "done", "proof")


def leave_alone(
    work: Work, source: VectorStore, target: VectorStore, base: StoredBase, retry: Retry
) -> StepReport | None:
    """The report of the step; None: somebody has written to one of the two since the plan was made,
    or the base is gone. Raises LeaseLost, StoreUnavailable."""
    name, read, now = work.source_collection, base["quiet"], work.stores.clock()
    seen = retry(lambda: mark(source, name))
    if read is None or not retry(lambda: is_quiet(source, target, name, seen, read, now)):
        return None
    if retry(lambda: target.last_write(base["qdrant_collection"])) != base["last_write"]:
        return None
    if not _take_over(work, base["clone_id"]):
        return None
    consistency: Consistency = {
        "state": "quiet",
        "passes": 0,
        "points_changed": [],
        "outcome": f"nobody had written to the source since {base['called']} was proven",
        "mark": seen,
    }
    return report(work, 0, consistency, {"transport": "not read"}, None)


def _take_over(work: Work, base: str) -> bool:
    """The base's slices become the clone's, as if it had copied them. Whether there are any."""
    mine = work.clone.clone_id
    with work.lease.write() as connection:
        query = select(clone_slices).where(clone_slices.c.clone_id == base)
        rows = list(connection.execute(query).mappings())
        if not rows or not all(row["done"] and row["proof"] for row in rows):
            return False
        connection.execute(delete(clone_slices).where(clone_slices.c.clone_id == mine))
        connection.execute(insert(clone_slices), [_as_mine(row, mine) for row in rows])
    return True


def _as_mine(row: RowMapping, clone_id: str) -> dict[str, Any]:
    progress = Progress.from_json(row["progress"])
    progress.changes.clear()
    taken = {name: row[name] for name in _TAKEN_OVER}
    return {"clone_id": clone_id, "progress": progress.to_json(), **taken}


def read_after_all(work: Work) -> Work:
    """The same clone, whose points are still to be copied and proven."""
    mine = clones.c.clone_id == work.clone.clone_id
    plan = work.clone.plan
    if plan["base"] is not None:
        plan = {**plan, "base": {**plan["base"], "quiet": None}}
    with work.lease.write() as connection:
        ledger.forget_reports(connection, work.clone.clone_id, ("copy_points", "verify_clone"))
        connection.execute(update(clones).where(mine).values(plan=plan))
        connection.execute(
            update(clone_slices)
            .where(clone_slices.c.clone_id == work.clone.clone_id)
            .values(cursor=None, points=0, progress={}, done=False, proof=None)
        )
        return replace(work, clone=ledger.get(connection, work.clone.clone_id))
