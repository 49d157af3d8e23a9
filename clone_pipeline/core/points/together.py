"""The slices of one clone, worked on by several threads of several processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from ..errors import CloneError
from ..ledger.claims import ClaimLost, Claims, Taken, Task, offering, seconds
from ..ledger.work import Work
from .pages import for_each, workers
from .retry import Retry

if TYPE_CHECKING:
    from .sides import Sides

# A process that only helps looks so often whether another clone has fewer helpers.
_STAY_SECONDS = 60.0
# How often is looked whether another process, that has the last slices, has lost one.
_LOOK_SECONDS = 0.5


def work_through(
    work: Work,
    sides: Sides,
    task: Task,
    function: Callable[[Taken], None],
) -> None:
    """Calls the function for slice after slice that is open, several at once.

    A run offers them to others, and comes back when none is open any more. A process that only
    helps comes back when there is none for it, and after a minute. Raises LeaseLost, and what the
    function raises.
    """
    claims, helps = Claims(work.lease, task), work.lease.helps is not None
    retry, alone = sides.retry, sides.source.embedded or sides.target.embedded
    until = seconds() + _STAY_SECONDS

    def one_worker(_: int) -> None:
        while not helps or seconds() < until:
            if _take_one(claims, retry, function):
                continue
            if helps or not retry(claims.are_elsewhere):
                return
            retry.nap(_LOOK_SECONDS)

    def look() -> None:
        if not helps and claims.are_elsewhere():
            work.meter.reach(claims.points_done())

    # In the other lanes the source is only read here; an embedded one admits one process.
    shares = work.clone.plan["lane"] == "stream" and not alone
    offered = nullcontext() if helps else offering(work.lease, task, shares=shares)
    with offered, claims.kept_alive(look):
        store = sides.source if task == "copy" else sides.target
        at_once = min(workers(work, store), max(1, claims.count_open()))
        for_each(range(at_once), one_worker, at_once, retry)


def _take_one(claims: Claims, retry: Retry, function: Callable[[Taken], None]) -> bool:
    """Whether there was one."""
    taken = retry(claims.take)
    if taken is None:
        return False
    with suppress(ClaimLost), claims.holding(taken.claim):
        try:
            function(taken)
        except CloneError:
            if taken.claim.is_lost():
                raise ClaimLost from None
            raise
    return True
