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

HELD = (
    "Held, because the target was rolled back: a refresh would bring back what it was rolled back "
    "from. It goes on after `clone-pipeline resume TARGET`, or after a refresh by hand."
)


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
    policy asks for. `held` says that it was rolled back, and nobody has told its policies to go on
    since."""

    clone_id: str | None = None
    made_at: datetime | None = None
    is_copy: bool | None = False
    as_wanted: bool = True
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


def look(seen: Seen | None, mark: str, now: datetime) -> Seen:
    """What is to be remembered of this look at the source."""
    return seen if seen is not None and seen.mark == mark else Seen(mark, now)


def decide(seen: Seen, now: datetime, rules: Rules, target: Target, history: History) -> Run | Skip:
    """Whether to refresh now."""
    running = history.first("running")
    if running is not None:
        return Skip(f"The run {running.run_id} of this policy is under way.")
    if target.held:
        return Skip(HELD)
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
        return Run(f"{seen.mark}-missing", 1, "The target does not exist yet.")
    age = (now - target.made_at).total_seconds()
    if rules.max_age is not None and age >= rules.max_age:
        cause = f"{seen.mark}-age-{target.clone_id}"
        return Run(cause, 1, f"The target is {age:.0f} s old, more than max_age_seconds.")
    if target.as_wanted and _is_copied(seen, target, history):
        return Skip("The source has not changed since it was copied.")
    why, who = "The source has changed", ""
    if not target.as_wanted:
        why, who = "The target was made with other options than the policy's", "the source "
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
    if newest is None:
        return None
    passed = (now - newest.asked_at).total_seconds()
    left = rules.minimum_interval - passed
    if left > 0:
        return f"The last run was asked for {passed:.0f} s ago; the next may be in {left:.0f} s."
    if newest.outcome not in ("failed", "cancelled"):
        return None
    left = backoff(newest.number) - passed
    if left > 0:
        how = "failed" if newest.outcome == "failed" else "was cancelled"
        return (
            f"Attempt {newest.number} (run {newest.run_id}) {how}; the next follows in "
            f"{left:.0f} s."
        )
    return None


def backoff(attempt: int) -> int:
    """Seconds between an attempt that failed and the next one."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF << min(attempt - 1, 10))
