"""What counts as wrong, and that nobody is told anything twice, whatever comes and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.ledger.watch import PolicyRecord
from clone_pipeline.notify import message
from clone_pipeline.notify.alarms import LastRun, Verdict, Watched, judge, judge_file
from clone_pipeline.notify.told import Event, Memory, Told, news
from clone_pipeline.policies.intervals import overdue_after
from clone_pipeline.policies.targets import KINDS, Target
from clone_pipeline.variables import FromEnvironment

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def hours_ago(hours: float) -> datetime:
    return NOW - hours * HOUR


def record(**more: Any) -> PolicyRecord:
    good = {
        "begun_at": hours_ago(10),
        "status": "ready",
        "outcome": "published",
        "made": "prod_2",
        "succeeded_at": hours_ago(9),
        "proven_at": hours_ago(9),
    }
    return PolicyRecord("org_acme", "nightly", "backup", **{**good, **more})


def failed(**more: Any) -> PolicyRecord:
    """After a success of the day before."""
    old = {"succeeded_at": hours_ago(29), "proven_at": hours_ago(29)}
    return record(**{**old, "status": "failed", "outcome": "failed", "error": "Full.", **more})


def run(hours: float, *, bad: bool = True, ended: bool = True) -> LastRun:
    at = hours_ago(hours)
    return LastRun("0123456789ab", at, at + timedelta(minutes=5) if ended else None, bad)


def watched(found: PolicyRecord | None, **more: Any) -> Watched:
    usual: dict[str, Any] = {"name": "nightly", "purpose": "backup", "source": "prod", "turn": DAY}
    return Watched(**{**usual, "record": found, **more})


def wrong(one: Watched, now: datetime = NOW) -> dict[str, str]:
    return {verdict.kind: verdict.sentence for verdict in judge(one, now) if verdict.wrong}


def decided(one: Watched) -> dict[str, bool]:
    return {verdict.kind: verdict.wrong for verdict in judge(one, NOW)}


def test_nothing_is_wrong_with_a_policy_that_runs() -> None:
    well = dict.fromkeys(("failed", "not_proven", "overdue", "restore_test_overdue"), False)
    assert decided(watched(record())) == well


def test_a_run_that_failed_says_what_it_was_to_make_and_why() -> None:
    assert wrong(watched(failed())) == {"failed": "'prod_2' failed: Full."}
    gone = failed(status="discarded")
    assert wrong(watched(gone)) == {"failed": "'prod_2' failed: Full."}


def test_a_copy_that_could_not_be_proven_is_told_as_that() -> None:
    said = wrong(watched(failed(outcome="not proven", error="Point 7 differs.")))
    assert said == {
        "not_proven": "'prod_2' could not be proven equal to its source: Point 7 differs."
    }
    counted = watched(record(proven_at=None))
    assert wrong(counted) == {
        "not_proven": "'prod_2' was not compared with its source point by point."
    }
    assert wrong(replace(counted, purpose="refresh")) == {}


def test_while_a_run_is_under_way_nobody_knows_how_it_ends() -> None:
    known = dict.fromkeys(("overdue", "restore_test_overdue"), False)
    assert decided(watched(failed(status="cloning", outcome=None))) == known
    assert decided(watched(failed(), run=run(0.1, ended=False))) == known


def test_a_run_that_failed_before_there_was_a_clone_is_seen_in_dagster() -> None:
    said = {"failed": "The run 01234567 failed before a clone was planned; Dagster says why."}
    assert wrong(watched(record(), run=run(1))) == said
    assert wrong(watched(None, run=run(1))) == said
    assert wrong(watched(record(), run=run(1, bad=False))) == {}
    # The clone's own run, or an older one.
    assert wrong(watched(record(), run=run(11))) == {}
    assert wrong(watched(failed(), run=run(11))) == {"failed": "'prod_2' failed: Full."}


@pytest.mark.parametrize(("hours", "late"), [(29.9, False), (30.1, True)])
def test_a_turn_and_a_quarter_is_overdue(hours: float, late: bool) -> None:
    old = record(begun_at=hours_ago(hours + 1), succeeded_at=hours_ago(hours))
    said = "Its last success is 30 hours ago; one is expected every 24 hours."
    assert wrong(watched(old)).get("overdue") == (said if late else None)
    # Not where it waits for a change, and not by a rule that is new.
    assert wrong(watched(old, turn=None)) == {}
    assert wrong(watched(old, since=hours_ago(1))) == {}


def test_a_policy_that_never_succeeded_is_overdue_by_the_time_that_it_is_watched() -> None:
    never = watched(None, since=hours_ago(31))
    assert wrong(never) == {
        "overdue": "It has not succeeded in the 31 hours that it is watched; one is expected every "
        "24 hours."
    }
    assert wrong(replace(never, since=hours_ago(29))) == {}


def test_short_turns_have_a_minute_to_spare() -> None:
    assert overdue_after(timedelta(minutes=1)) == timedelta(minutes=2)
    assert overdue_after(DAY) == timedelta(hours=30)


def test_a_restore_test_counts_until_the_next_one() -> None:
    bad = record(restorable=False, restore_tested_at=hours_ago(2), restore_error="Point 7 differs.")
    assert wrong(watched(bad)) == {
        "restore_test_failed": "A backup could not be restored: Point 7 differs."
    }
    assert "restore_test_failed" not in decided(watched(record()))
    good = record(restorable=True, restore_tested_at=hours_ago(1))
    assert decided(watched(good))["restore_test_failed"] is False


@pytest.mark.parametrize(("hours", "late"), [(29.9, False), (30.1, True)])
@pytest.mark.parametrize("good", [True, False, None])  # None: that backup is gone
def test_a_restore_test_is_overdue_after_a_turn_and_a_quarter_whatever_the_last_one_found(
    hours: float, late: bool, good: bool | None
) -> None:
    old = record(restorable=good, restore_tested_at=hours_ago(hours))
    said = "The last restore test was 30 hours ago; one is expected every 24 hours."
    found = wrong(watched(old, test_turn=DAY))
    assert found.get("restore_test_overdue") == (said if late else None)
    # Not where there are to be none, and not by a rule that is new.
    assert "restore_test_overdue" not in wrong(watched(old))
    new = watched(old, test_turn=DAY, tests_since=hours_ago(1))
    assert "restore_test_overdue" not in wrong(new)


def test_backups_that_were_never_tested_are_overdue_by_the_time_that_they_are_watched() -> None:
    never = watched(record(), test_turn=DAY, tests_since=hours_ago(31))
    assert wrong(never) == {
        "restore_test_overdue": "No backup was restored for a test in the 31 hours that it is "
        "watched; one is expected every 24 hours."
    }
    # What is not proven cannot be tested; that is told as `overdue` or `failed`.
    for nothing in (None, record(proven_at=None)):
        assert "restore_test_overdue" not in decided(replace(never, record=nothing))


def test_a_file_with_mistakes_is_told_with_the_first_one() -> None:
    said = judge_file(("a.yaml, line 3: No.", "a.yaml, line 5: No."), NOW)
    assert (said.wrong, said.policy) == (True, None)
    assert said.sentence == "What it is in does not run: a.yaml, line 3: No. And 1 more."
    assert not judge_file((), NOW).wrong


def test_what_is_said_is_one_line_without_secrets() -> None:
    error = "Cannot reach postgresql://app:hunter2hunter2@db/x\n  at line 3 " + "x" * 1000
    (said,) = wrong(watched(failed(error=error))).values()
    assert "hunter2" not in said
    assert "\n" not in said
    assert len(said) <= 500


# ---- who was told ----------------------------------------------------------------------------


def target(name: str = "ops", **more: Any) -> Target:
    values = {"webhook": "https://ops.example", "secret": FromEnvironment(env="S"), **more}
    return Target(name=name, **values)


def verdict(policy: str, kind: Any, is_wrong: bool, at: datetime) -> Verdict:
    return Verdict(kind, is_wrong, at, policy, "backup", "prod", "Said.")


def test_a_target_is_told_only_of_its_kinds() -> None:
    verdicts = [verdict("a", "failed", True, NOW), verdict("a", "overdue", True, NOW)]
    events, told = news({}, verdicts, target(kinds=["overdue"]), (), NOW)
    assert [one.kind for one in events] == ["overdue"]
    assert told == {"a": {"overdue": NOW}}


def test_an_older_good_test_does_not_end_a_newer_alarm() -> None:
    kind = "restore_test_failed"
    _, told = news({}, [verdict("a", kind, True, NOW)], target(), (), NOW)
    older = verdict("a", kind, False, NOW - DAY)
    assert news(told, [older], target(), (), NOW) == ([], told)
    (event,), told = news(told, [verdict("a", kind, False, NOW + DAY)], target(), (), NOW)
    assert (event.kind, event.of, told) == ("recovered", kind, {})


def test_a_policy_that_is_disabled_has_recovered() -> None:
    told: Told = {"a": {"failed": NOW, "overdue": NOW}, "b": {"failed": NOW}}
    events, told = news(told, [], target(), {"a"}, NOW)
    assert [(one.kind, one.of, one.policy) for one in events] == [
        ("recovered", "failed", "a"),
        ("recovered", "overdue", "a"),
    ]
    assert told == {"b": {"failed": NOW}}


def test_since_when_something_is_expected() -> None:
    memory = Memory()
    assert memory.since("known", "daily", True, NOW) is None
    assert memory.since("new", "daily", False, NOW) == NOW
    assert memory.since("new", "daily", False, NOW + DAY) == NOW
    # Another rule, or enabled again: what was before does not count.
    assert memory.since("known", None, True, NOW) == NOW
    assert memory.since("known", "daily", True, NOW + DAY) == NOW + DAY


@pytest.mark.parametrize(
    "cursor", [None, "", "x", "[]", "{}", "null", '{"version": 2}', '{"version": 1, "told": 3}']
)
def test_a_cursor_that_nobody_can_read_is_a_new_one(cursor: str | None) -> None:
    assert Memory.from_json(cursor) == Memory()


_KEYS = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(KINDS))
_TICK = st.tuples(
    st.dictionaries(_KEYS, st.booleans()),  # what has changed
    st.sets(_KEYS, max_size=2),  # what nobody can say now, as while a run is under way
    st.sets(st.sampled_from(["one", "two"])),  # which targets can be reached
)


@given(st.lists(_TICK, max_size=30))
@pytest.mark.outside
def test_whatever_comes_and_goes_each_target_is_told_each_thing_once(ticks: list[Any]) -> None:
    memory = Memory()
    heard: dict[str, list[Event]] = {"one": [], "two": []}
    states: dict[tuple[str, Any], tuple[bool, datetime]] = {}
    for turn, (changes, unknown, reached) in enumerate(ticks):
        at = NOW + turn * HOUR
        states |= {key: (is_wrong, at) for key, is_wrong in changes.items()}
        verdicts = [verdict(*key, *state) for key, state in states.items() if key not in unknown]
        memory = Memory.from_json(memory.to_json())
        for name in sorted(reached):
            before = memory.told.get(name, {})
            events, memory.told[name] = news(before, verdicts, target(name), (), at)
            heard[name] += events
            told = {(policy, kind) for policy, kinds in memory.told[name].items() for kind in kinds}
            standing = {key for key, (is_wrong, _) in states.items() if is_wrong}
            assert told - unknown == standing - unknown
    for events in heard.values():
        of_each: dict[Any, list[str]] = {}
        for event in events:
            of_each.setdefault((event.policy, event.of or event.kind), []).append(event.kind)
        for (_, kind), said in of_each.items():
            assert said == [kind if turn % 2 == 0 else "recovered" for turn in range(len(said))]


# ---- what is sent ----------------------------------------------------------------------------


def test_the_same_news_have_the_same_id_and_others_another() -> None:
    event = Event("failed", NOW, "Said.", "a", "backup", "prod")
    assert message.identity("ops", [event]) == message.identity(
        "ops", [replace(event, sentence="")]
    )
    ids = {
        message.identity(name, events)
        for name in ("ops", "other")
        for events in ([event], [replace(event, at=NOW + DAY)], [event, event])
    }
    assert len(ids) == 6


def test_a_text_names_the_policy_and_calls_nobody() -> None:
    event = Event("failed", NOW, "Bad <!channel> & worse.", "nightly", "backup", "<prod>")
    over = replace(event, kind="recovered", of="failed", sentence="Good.")
    assert message.text([event, over]).splitlines() == [
        "*nightly* (backup of &lt;prod&gt;) failed: Bad &lt;!channel&gt; &amp; worse.",
        "*nightly* (backup of &lt;prod&gt;) recovered (failed): Good.",
    ]
    assert message.text([event] * 25).splitlines()[-1] == "And 5 more."
