"""A source that is written to while it is copied: what it has changed is copied again, in passes.

Whether it was written to is asked of the store (`last_write`), not found out by reading it all
again: a quiet source is read once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping

from ..difference import Differences
from ..work import Work
from .compare import Sides, compare
from .port import VectorStore
from .progress import Progress
from .slices import read_slice
from .stream import add, per_slice, slice_of, store_slice

# A pass that finds less than this share of the points changed is the last one.
ENOUGH = 0.001
PASSES = 3
_POINTS = " points"


def mark(store: VectorStore, collection: str) -> str:
    """Changes with every write to the collection, or, where the store cannot tell, with the count
    of its points."""
    return store.last_write(collection) or f"{store.count(collection)}{_POINTS}"


def is_told(mark: str) -> bool:
    """Whether the store could tell its last write when it was asked for this mark."""
    return not mark.endswith(_POINTS)


def catch_up(work: Work, sides: Sides) -> dict[str, Any]:
    """Passes until a pass finds the source quiet, or little changed, or there were enough of them.

    Returns `state` (`quiet` or `moving`), `passes`, `points_changed` for each, an `outcome` in
    words, and the `mark` of what was read last.
    """
    changed: list[int] = []
    last = work.clone.plan["source_mark"]
    now = sides.patience(lambda: mark(sides.source, sides.source_name))
    while now != last and len(changed) < PASSES:
        points, total = _pass(work, sides)
        changed.append(points)
        last, now = now, sides.patience(lambda: mark(sides.source, sides.source_name))
        if points <= total * ENOUGH:
            break
    return {
        "state": "moving" if changed else "quiet",
        "passes": len(changed),
        "points_changed": changed,
        "outcome": _outcome(changed, quiet=now == last),
        "mark": last,
    }


def _outcome(changed: list[int], *, quiet: bool) -> str:
    if not changed:
        return "the source was not written to while it was copied"
    passes = "1 catch-up pass" if len(changed) == 1 else f"{len(changed)} catch-up passes"
    if quiet:
        return f"nothing differs any more after {passes}"
    if len(changed) < PASSES:
        return f"{passes}, until at most {ENOUGH:.1%} of the points differed ({changed[-1]})"
    return f"the limit of {passes} was reached; {changed[-1]} points had changed at the last one"


def _pass(work: Work, sides: Sides) -> tuple[int, int]:
    """Brings every slice up to date. Returns how many points had changed, and of how many."""
    counts: list[tuple[int, int]] = []

    def one(row: RowMapping) -> None:
        counts.append(_slice(work, sides, row))

    per_slice(work, sides.source, sides.patience, one)
    return sum(points for points, _ in counts), sum(total for _, total in counts)


def _slice(work: Work, sides: Sides, row: RowMapping) -> tuple[int, int]:
    part, sampled = slice_of(row), work.request.verify == "sample"
    mine = replace(sides, rewriter=work.new_rewriter())  # it is not safe for threads
    now = Progress()
    for page in read_slice(sides.source, sides.source_name, part, sides.patience):
        for point in page.points:
            add(now, point, mine.rewriter, exact=sides.rule.exact, sampled=sampled)
    if sides.rule.exact and now.digest == Progress.from_json(row["progress"]).digest:
        return 0, now.digest.count
    # What no repair puts right is for the proof to say.
    result = compare(mine, part, Differences(), Differences(), work, sampled=sampled)
    store_slice(work, sides.patience, part, result.progress, None)
    return result.repaired, result.progress.digest.count
