"""What becomes of a request, by what stands under the name that it asks for: one table.

Both doors go by it: a run that begins a clone at once, and the API, which reserves the name for a
run that is to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..ledger.clones import Clone
from ..request import CloneRequest
from .parties import Parties

Decision = Literal["taken", "held", "new", "in progress", "resume", "discard"]


@dataclass(frozen=True)
class UnderName:
    """What stands under the name. `live`: a namespace that is ready; `held`: its refreshes wait
    since a rollback; `unfinished`: a clone that is neither published nor discarded; `at_work`:
    another run makes that one, or is to."""

    live: bool = False
    held: bool = False
    unfinished: bool = False
    at_work: bool = False


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `same`: what is unfinished was asked for in the same words, of the same
    source; `by_policy`: nobody has asked just now."""

    replace: bool = False
    same: bool = False
    by_policy: bool = False


@dataclass(frozen=True)
class Row:
    there: str
    fits: Callable[[UnderName, Wanted], bool]
    decision: Decision


# The first row that fits decides.
TABLE = (
    Row(
        "a namespace, not to be replaced", lambda it, asked: it.live and not asked.replace, "taken"
    ),
    Row("one that was rolled back", lambda it, asked: it.held and asked.by_policy, "held"),
    Row("nothing unfinished", lambda it, _: not it.unfinished, "new"),
    Row("unfinished, another run at work", lambda it, _: it.at_work, "in progress"),
    Row("unfinished, the same request", lambda _, asked: asked.same, "resume"),
    Row("unfinished, another request", lambda *_: True, "discard"),
)


def decide(it: UnderName, asked: Wanted) -> Decision:
    """`taken`, `held` and `in progress` refuse; `new` begins a clone, `resume` goes on with the
    unfinished one, `discard` takes that away and then begins a clone."""
    return next(row.decision for row in TABLE if row.fits(it, asked))


def is_same(unfinished: Clone, request: CloneRequest, parties: Parties) -> bool:
    """Whether it was asked for in the same words, of the same source: they may mean another one
    when another organization says them."""
    where = (unfinished.source_namespace_key, unfinished.source_environment is not None)
    same_source = where == (parties.source.key, parties.elsewhere)
    return same_source and unfinished.request_identity == request.identity()


def decide_for(
    request: CloneRequest,
    parties: Parties,
    unfinished: Clone | None,
    now: datetime,
    *,
    run_id: str | None = None,
    ended: frozenset[str] = frozenset(),
    by_policy: bool = False,
) -> Decision:
    """The decision for a request, whose own run, if it has begun, is no other one; nor are runs
    that are known to have `ended`."""
    live, same, at_work = parties.replaces, False, False
    if unfinished is not None:
        mine = run_id is not None and unfinished.run_id == run_id
        at_work = unfinished.is_held(now, ended) and not mine
        same = is_same(unfinished, request, parties)
    it = UnderName(
        live=live is not None,
        held=live is not None and live.held_at is not None,
        unfinished=unfinished is not None,
        at_work=at_work,
    )
    return decide(it, Wanted(request.if_exists == "replace", same, by_policy))
