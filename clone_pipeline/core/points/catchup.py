"""A source that is written to while it is copied: what it has changed is copied again, in passes.

Whether it was written to is asked of the store (`last_write`), not found out by reading it all
again: a quiet source is read once.
"""

from __future__ import annotations

from sqlalchemy import RowMapping

from ..difference import Differences
from ..ledger.work import Work
from ..outputs import Consistency
from ..refresh.marks import mark
from .compare import compare, note_found
from .pages import read_slice
from .progress import Progress
from .shard_keys import follow_shard_keys
from .sides import Sides
from .stream import add, per_slice, slice_of, store_slice

# A pass that finds less than this share of the points changed is the last one.
ENOUGH = 0.001
PASSES = 3


def catch_up(work: Work, sides: Sides) -> Consistency:
    """Passes, until one finds the source quiet, or little changed, or there were enough of them."""
    changed: list[int] = []
    last = work.clone.plan["source_mark"]
    now = sides.retry(lambda: mark(sides.source, sides.source_name))
    # A server with several nodes tells no last write, and keys without points change no count.
    while len(changed) < PASSES and (follow_shard_keys(work, sides) or now != last):
        points, total = _pass(work, sides)
        changed.append(points)
        last, now = now, sides.retry(lambda: mark(sides.source, sides.source_name))
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

    work.begin_points("Looked once more at")
    per_slice(work, sides.source, sides.retry, one)
    return sum(points for points, _ in counts), sum(total for _, total in counts)


def _slice(work: Work, sides: Sides, row: RowMapping) -> tuple[int, int]:
    part, sampled = slice_of(row), work.request.verify == "sample"
    mine = sides.for_thread(work.new_rewriter())
    now = Progress()
    for page in read_slice(sides.source, sides.source_name, part, sides.retry):
        for point in page.points:
            add(
                now,
                point,
                mine.rewriter,
                settled=sides.rule.settled,
                sampled=sampled,
                shard_key=part.shard_key,
            )
        note_found(work, mine)
        sides.meter.add(page.count)
    before = Progress.from_json(row["progress"])
    if now.digest == before.digest:
        return 0, now.digest.count
    # What no repair puts right is for the proof to say.
    result = compare(mine, part, Differences(), Differences(), work, sampled=sampled)
    result.progress.changes += before.changes
    store_slice(work, sides.retry, part, result.progress, None, mine.rewriter)
    return result.repaired, result.progress.digest.count
