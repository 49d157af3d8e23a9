"""When a refresh runs: the decision, against histories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.refresh.decide import (
    Attempt,
    History,
    Rules,
    Run,
    Seen,
    Skip,
    Target,
    backoff,
    decide,
    look,
)

START = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
TICK = 30
BY_THE_SOURCE = ("change", "nothing", "fail", "fail late", "lose cursor", "silent")
BY_A_PERSON = ("by hand", "roll back", "resume")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(BY_THE_SOURCE + BY_A_PERSON),
        st.integers(1, 40),  # ticks until the next event
    ),
    max_size=30,
)
RULES = st.builds(
    Rules,
    quiet_period=st.sampled_from([0, 30, 45, 300]),
    minimum_interval=st.sampled_from([0, 60, 600]),
    max_age=st.sampled_from([None, 1800, 7200]),
)


@dataclass
class World:
    """A source, a target and a Dagster, as far as the decision sees them. A run takes two ticks
    and copies what the source is when it begins."""

    rules: Rules
    now: datetime = START
    source: int = 0
    copied: int | None = None
    made_at: datetime | None = None
    generation: int = 0
    fail_next: int = 0
    fail_late: int = 0  # when the plan is frozen: the next run goes on with it
    frozen: tuple[int, datetime] | None = None
    is_silent: bool = False  # what is planned next does not hear of the source's last write
    was_silent: bool = False
    before: tuple[int, datetime, bool] | None = None
    held: bool = False
    seen: Seen | None = None
    runs: list[Attempt] = field(default_factory=list)
    keys: list[tuple[str, int]] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)  # what each good run of the policy copied
    causes: list[tuple[str, int]] = field(default_factory=list)  # reason and source, for each run
    left: int = 0
    reading: int = 0

    def tick(self) -> Run | Skip:
        self._go_on()
        self.seen = look(self.seen, f"mark{self.source}", self.now)
        clone = None if self.made_at is None else f"clone_{self.generation}"
        history = History(tuple(reversed(self.runs)))
        is_copy = self.copied == self.source and (None if self.was_silent else True)
        target = Target("staging", clone, self.made_at, is_copy, held=self.held)
        decision = decide(self.seen, self.now, self.rules, target, history)
        if isinstance(decision, Run):
            assert not self.held
            self._start(decision)
        self.now += timedelta(seconds=TICK)
        return decision

    def _start(self, run: Run) -> None:
        # Dagster launches nothing for a key that it has seen.
        assert (run.cause, run.attempt) not in self.keys
        self.keys.append((run.cause, run.attempt))
        self.causes.append((run.reason, self.source))
        name = f"run-{len(self.runs)}"
        self.runs.append(Attempt(name, run.cause, run.attempt, self.now, "running"))
        self.left = 2
        self.reading, self.planned = self.frozen or (self.source, self.now)

    def _go_on(self) -> None:
        if not self.is_running:
            return
        self.left -= 1
        if self.left:
            return
        good = self.fail_next == self.fail_late == 0
        self.frozen = (self.reading, self.planned) if self.fail_late else None
        self.fail_next, self.fail_late = max(0, self.fail_next - 1), max(0, self.fail_late - 1)
        self.runs[-1] = replace(self.runs[-1], outcome="succeeded" if good else "failed")
        if good:
            self.publish(self.reading, self.planned)
            self.copies.append(self.reading)

    def publish(self, what: int, planned: datetime) -> None:
        if self.copied is not None and self.made_at is not None:
            self.before = (self.copied, self.made_at, self.was_silent)
        self.copied, self.made_at, self.was_silent = what, planned, self.is_silent
        self.is_silent = self.held = False
        self.frozen = None
        self.generation += 1

    @property
    def is_running(self) -> bool:
        return bool(self.runs) and self.runs[-1].outcome == "running"

    def happen(self, event: str) -> None:
        if event == "change":
            self.source += 1
        elif event == "fail":
            self.fail_next += 1
        elif event == "fail late":
            self.fail_late += 1
        elif event == "lose cursor":
            self.seen = None
        elif event == "by hand" and not self.is_running:
            self.publish(self.source, self.now)
        elif event == "silent":
            self.is_silent = True
        elif event == "resume":
            self.held = False
        elif event == "roll back" and self.before is not None and not self.is_running:
            self.copied, self.made_at, self.was_silent = self.before
            self.before, self.frozen, self.held = None, None, True


def settled(world: World) -> None:
    """Ticks until quiet period and minimum interval are surely over."""
    calm = world.rules.quiet_period + world.rules.minimum_interval
    for _ in range(calm // TICK + 10):
        world.tick()


@given(rules=RULES, events=EVENTS)
def test_every_history_ends_with_a_target_that_is_as_the_source(
    rules: Rules, events: list[tuple[str, int]]
) -> None:
    world = World(rules)
    for event, ticks in events:
        world.happen(event)
        for _ in range(ticks):
            world.tick()
    world.fail_next = world.fail_late = 0
    world.happen("resume")
    for number in range(1, 40):
        settled(world)
        if world.copied == world.source:
            break
        world.now += timedelta(seconds=backoff(number))
    assert world.copied == world.source
    # Never two closer than the minimum interval, and a failed one only after its backoff.
    for one, other in pairwise(world.runs):
        apart = (other.asked_at - one.asked_at).total_seconds()
        assert apart >= rules.minimum_interval
        if one.outcome == "failed":
            assert apart >= backoff(one.number)
            if other.cause == one.cause:
                assert other.number == one.number + 1


@given(rules=RULES, events=EVENTS)
def test_a_change_is_copied_by_one_successful_run(
    rules: Rules, events: list[tuple[str, int]]
) -> None:
    """But for forced ones, those after a rollback, and one more where a run has gone on with an
    older plan to which the store was silent."""
    world = World(replace(rules, max_age=None))
    left_out = {*BY_A_PERSON}
    if any(event == "fail late" for event, _ in events):
        left_out.add("silent")
    for event, ticks in events:
        if event not in left_out:
            world.happen(event)
        for _ in range(ticks):
            world.tick()
    settled(world)
    assert len(world.copies) == len(set(world.copies))


@given(rules=RULES, ticks=st.integers(1, 300))
def test_without_a_change_nothing_runs_but_what_max_age_asks_for(rules: Rules, ticks: int) -> None:
    world = World(rules)
    for _ in range(ticks):
        world.tick()
    first, *more = world.causes
    assert first[0] == "The target is not there."
    assert all("max_age_seconds" in reason for reason, _ in more)
    if rules.max_age is None:
        assert more == []
    else:
        lasted = ticks * TICK
        assert len(more) <= lasted // rules.max_age + 1
        assert len(more) >= lasted // max(rules.max_age + 4 * TICK, rules.minimum_interval) - 1


# ---- one by one ------------------------------------------------------------------------------

RULE = Rules(quiet_period=300, minimum_interval=3600, max_age=86400)
SEEN = Seen("m", START)
LIVE = Target("staging", "clone_1", START - timedelta(hours=2))


def after(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def attempt(outcome: str, number: int = 1, cause: str | None = "m", at: int = 0) -> Attempt:
    return Attempt(f"run-{number}", cause, number, after(at), outcome)  # type: ignore[arg-type]


def test_it_waits_until_the_source_is_quiet() -> None:
    skip = decide(SEEN, after(299), RULE, LIVE, History())
    assert skip == Skip(
        "The source has changed, and must be quiet for 300 s first; it has been for 299 s."
    )
    assert decide(SEEN, after(300), RULE, LIVE, History()) == Run("m", 1, "The source has changed.")


def test_a_change_while_it_waits_begins_the_quiet_period_anew() -> None:
    assert look(SEEN, "n", after(200)) == Seen("n", after(200))
    assert look(SEEN, "m", after(200)) == SEEN


def test_a_run_under_way_is_waited_for() -> None:
    skip = decide(SEEN, after(9999), RULE, LIVE, History((attempt("running", cause=None),)))
    assert skip == Skip("The run run-1 of this policy is under way.")


def test_a_failure_is_tried_again_with_the_next_number_after_longer_and_longer() -> None:
    rules = replace(RULE, minimum_interval=0)
    failed = History((attempt("failed", 2, at=300), attempt("failed", 1, at=100)))
    assert decide(SEEN, after(419), rules, LIVE, failed) == Skip(
        "The source has changed. Attempt 2 (run run-2) failed; the next follows in 1 s."
    )
    assert decide(SEEN, after(420), rules, LIVE, failed) == Run("m", 3, "The source has changed.")
    cancelled = History((attempt("cancelled", at=300),))
    assert decide(SEEN, after(359), rules, LIVE, cancelled) == Skip(
        "The source has changed. Attempt 1 (run run-1) was cancelled; the next follows in 1 s."
    )
    assert decide(SEEN, after(360), RULE, LIVE, cancelled) == Skip(
        "The source has changed. Attempt 1 (run run-1) was cancelled; the next follows in 3540 s."
    )
    assert [backoff(number) for number in (1, 2, 7, 50)] == [60, 120, 3600, 3600]


def test_the_minimum_interval_counts_from_the_last_run_whatever_came_of_it() -> None:
    told = {
        "failed": "Attempt 1 (run run-1) failed; the next follows in 300 s.",
        "succeeded": "The last run was asked for 3300 s ago; the next may be in 300 s.",
    }
    for outcome, why in told.items():
        history = History((attempt(outcome, cause="old", at=-3000),))
        skip = decide(SEEN, after(300), RULE, LIVE, history)
        assert skip == Skip(f"The source has changed. {why}")


def test_what_was_copied_since_it_was_seen_is_not_copied_again() -> None:
    good = History((attempt("succeeded"),))
    by_hand = Target("staging", "clone_2", after(-61), is_copy=True)
    silent = Target("staging", "clone_2", after(-59), is_copy=None)
    for target, history in ((silent, good), (by_hand, History())):
        skip = decide(SEEN, after(9999), RULE, target, history)
        assert skip == Skip("The source has not changed since it was copied.")
    # A mark that comes back is a change: something else was copied in between.
    back = History((attempt("succeeded", cause="other", at=-4000), attempt("succeeded", at=-8000)))
    assert decide(SEEN, after(300), RULE, LIVE, back) == Run("m", 2, "The source has changed.")


def test_an_old_target_is_refreshed_although_nothing_was_noticed() -> None:
    good = History((attempt("succeeded", at=-7200),))
    run = decide(SEEN, after(86400 - 7200), RULE, LIVE, good)
    assert run == Run("m-age-clone_1", 1, "The target is 86400 s old, more than max_age_seconds.")


def test_a_target_that_was_rolled_back_is_left_alone() -> None:
    held = replace(LIVE, is_copy=True, rolled_back=True, held=True)
    skip = decide(SEEN, after(10**6), RULE, held, History())
    assert isinstance(skip, Skip)
    assert "It goes on after `clone-pipeline resume staging`" in skip.reason


def test_a_refresh_after_a_rollback_is_not_put_down_to_the_source() -> None:
    resumed = replace(LIVE, rolled_back=True)
    why = "The target was rolled back, and is no copy of the source as it is"
    assert decide(SEEN, after(300), RULE, resumed, History()) == Run("m", 1, f"{why}.")
    assert decide(SEEN, after(299), RULE, resumed, History()) == Skip(
        f"{why}, and the source must be quiet for 300 s first; it has been for 299 s."
    )


def test_that_a_run_succeeded_does_not_make_the_target_a_copy() -> None:
    """It may have gone on with an older plan, or have been rolled back from."""
    good = History((attempt("succeeded"),))
    rolled_back_to = Target("staging", "clone_1", after(-61), is_copy=None)
    for target in (LIVE, rolled_back_to):
        run = decide(SEEN, after(9999), RULE, target, good)
        assert run == Run("m", 2, "The source has changed.")


def test_a_copy_that_was_made_with_other_options_is_refreshed() -> None:
    other = Target("staging", "clone_1", after(-61), is_copy=True, as_wanted=False)
    why = "The target was made with other options than the policy's"
    assert decide(SEEN, after(300), RULE, other, History()) == Run("m", 1, f"{why}.")
    assert decide(SEEN, after(299), RULE, other, History()) == Skip(
        f"{why}, and the source must be quiet for 300 s first; it has been for 299 s."
    )


def test_a_clock_that_was_set_back_stops_no_policy_until_it_has_caught_up() -> None:
    year = timedelta(days=365)
    assert look(replace(SEEN, since=SEEN.since + year), "m", START) == SEEN
    failed = History((attempt("failed", at=int(year.total_seconds())),))
    assert decide(SEEN, after(300), RULE, LIVE, failed) == Run("m", 2, "The source has changed.")
    # A copy of the source as it is; how old it is, nobody can tell.
    future = Target("staging", "clone_1", START + year, is_copy=True)
    assert isinstance(decide(SEEN, after(300), RULE, future, History()), Run)
    assert isinstance(decide(SEEN, after(300), replace(RULE, max_age=None), future, failed), Skip)


def test_clocks_that_differ_a_little_do_not_shorten_the_waits() -> None:
    ahead = History((attempt("failed", at=600),))
    assert isinstance(decide(SEEN, after(300), RULE, LIVE, ahead), Skip)


def test_what_is_kept_survives_the_cursor() -> None:
    assert Seen.from_json(SEEN.to_json()) == SEEN
