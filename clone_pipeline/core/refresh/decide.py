"""When a refresh runs: one pure decision for each look at the source.

The source is known by its *mark*, a text that changes when it does. What has been copied is not
kept here: the target's live generation and the run history say it, so that a lost cursor costs
no more than a quiet period, and a refresh made by hand counts like any other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

# From failure to the next attempt: doubled each time, up to an hour.
FIRST_BACKOFF = 60
LONGEST_BACKOFF = 3600
# How far apart the clocks of the machines may be that ask for a run and that make the clone.
CLOCKS_APART = timedelta(seconds=60)
# What is dated further ahead than this is from before the clock was set back: nobody waits for it.
SET_BACK = timedelta(hours=1)


@dataclass(frozen=True)
class Rules:
    """Seconds. `max_age` None: a refresh is never forced."""

    quiet_period: int
    minimum_interval: int
    max_age: int | None = None


@dataclass(frozen=True)
class Seen:
    """What the sensor keeps: the mark, and since when it has been that."""

    mark: str
    since: datetime

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"since": self.since.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Seen:
        return cls(str(values["mark"]), datetime.fromisoformat(values["since"]))


Outcome = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Attempt:
    """A run of the policy. `cause` is None for one that its schedule started."""

    run_id: str
    cause: str | None
    number: int
    asked_at: datetime
    outcome: Outcome


@dataclass(frozen=True)
class Target:
    """`made_at` is when the live generation was planned, by whatever door; None: no namespace.
    `is_copy`: whether it was planned from the source as it is; None: as far as can be told it was,
    but the store was silent about its last write then. `as_wanted`: with the options that the
    policy asks for. `rolled_back`: an earlier generation is live again; `held`: and nobody has told
    its policies to go on since."""

    name: str
    clone_id: str | None = None
    made_at: datetime | None = None
    is_copy: bool | None = False
    as_wanted: bool = True
    rolled_back: bool = False
    held: bool = False


@dataclass(frozen=True)
class History:
    """The policy's latest runs, newest first."""

    runs: tuple[Attempt, ...] = ()

    @property
    def newest(self) -> Attempt | None:
        return self.runs[0] if self.runs else None

    def first(self, outcome: str) -> Attempt | None:
        return next((run for run in self.runs if run.outcome == outcome), None)

    def next_number(self, cause: str) -> int:
        return 1 + max((run.number for run in self.runs if run.cause == cause), default=0)


@dataclass(frozen=True)
class Run:
    """`cause` and `attempt` make the run key; `reason` is for people."""

    cause: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class Skip:
    reason: str


def held(name: str) -> str:
    """What is said instead of refreshing a target that was rolled back."""
    return (
        f"Held, because {name} was rolled back: a refresh would bring back what it was rolled back "
        f"from. It goes on after `clone-pipeline resume {name}`, or after a refresh by hand."
    )


def look(seen: Seen | None, mark: str, now: datetime) -> Seen:
    """What is to be remembered of this look at the source. A look of a time that is still to come
    was before the clock was set back, and is as good as none."""
    known = seen is not None and seen.mark == mark and seen.since <= now
    return seen if seen is not None and known else Seen(mark, now)


def decide(seen: Seen, now: datetime, rules: Rules, target: Target, history: History) -> Run | Skip:
    """Whether to refresh now."""
    running = history.first("running")
    if running is not None:
        return Skip(f"The run {running.run_id} of this policy is under way.")
    if target.held:
        return Skip(held(target.name))
    wanted = _wanted(seen, now, rules, target, history)
    if isinstance(wanted, Skip):
        return wanted
    wait = _wait(now, rules, history.newest)
    if wait is not None:
        return Skip(f"{wanted.reason} {wait}")
    return replace(wanted, attempt=history.next_number(wanted.cause))


def _wanted(
    seen: Seen, now: datetime, rules: Rules, target: Target, history: History
) -> Run | Skip:
    """What a refresh would be for, or why none is needed."""
    if target.made_at is None:
        return Run(f"{seen.mark}-missing", 1, "The target is not there.")
    age = (now - target.made_at).total_seconds()
    if rules.max_age is not None:
        cause = f"{seen.mark}-age-{target.clone_id}"
        if age >= rules.max_age:
            return Run(cause, 1, f"The target is {age:.0f} s old, more than max_age_seconds.")
        if _is_from_before(target.made_at, now):
            why = "The target's time is still to come, so its age is not known."
            return Run(cause, 1, why)
    if target.as_wanted and _is_copied(seen, target, history):
        return Skip("The source has not changed since it was copied.")
    why, who = "The source has changed", ""
    if not target.as_wanted:
        why, who = "The target was made with other options than the policy's", "the source "
    elif target.rolled_back:
        why, who = (
            "The target was rolled back, and is no copy of the source as it is",
            "the source ",
        )
    quiet = (now - seen.since).total_seconds()
    if quiet < rules.quiet_period:
        return Skip(
            f"{why}, and {who}must be quiet for {rules.quiet_period} s first; it has been for "
            f"{quiet:.0f} s."
        )
    return Run(seen.mark, 1, f"{why}.")


def _is_copied(seen: Seen, target: Target, history: History) -> bool:
    if target.is_copy is not None:
        return target.is_copy
    # A run of this policy for what the sensor knew of, and the target is what it made.
    good = history.first("succeeded")
    if good is None or good.cause is None or target.made_at is None:
        return False
    made_it = target.made_at >= good.asked_at - CLOCKS_APART
    return made_it and good.cause.split("-")[0] == seen.mark


def _wait(now: datetime, rules: Rules, newest: Attempt | None) -> str | None:
    """Why it has to wait although there is something to do; None: it need not."""
    if newest is None or _is_from_before(newest.asked_at, now):
        return None
    passed = (now - newest.asked_at).total_seconds()
    if newest.outcome in ("failed", "cancelled"):
        left = max(rules.minimum_interval, backoff(newest.number)) - passed
        how = "failed" if newest.outcome == "failed" else "was cancelled"
        why = f"Attempt {newest.number} (run {newest.run_id}) {how}; the next follows in"
    else:
        left = rules.minimum_interval - passed
        why = f"The last run was asked for {passed:.0f} s ago; the next may be in"
    return f"{why} {left:.0f} s." if left > 0 else None


def _is_from_before(moment: datetime, now: datetime) -> bool:
    """Whether the clock was set back since."""
    return moment > now + SET_BACK


def backoff(attempt: int) -> int:
    """Seconds between an attempt that failed and the next one."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF << min(attempt - 1, 10))
