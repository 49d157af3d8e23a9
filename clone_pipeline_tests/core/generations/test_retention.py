"""Which backups stay: a few plain cases, and random histories against a reference model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.generations.retention import Backup, Keep, retain

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 10, 20, 3, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def backup(number: int, made_at: datetime, *, proven: bool = True, in_use: bool = False) -> Backup:
    return Backup(f"clone_{number}", f"backup {number}", number, made_at, proven, in_use)


def nightly(days: int) -> list[Backup]:
    return [backup(day, START + day * DAY) for day in range(days)]


def kept(backups: list[Backup], keep: Keep) -> list[int]:
    stay = retain(backups, keep, BERLIN).keep
    return [one.sequence for one in backups if one.clone_id in stay]


# ---- plain cases -----------------------------------------------------------------------------


def test_the_newest_of_each_day_week_and_month_stays_with_its_reasons() -> None:
    retained = retain(nightly(30), Keep(daily=2, weekly=2, monthly=2), BERLIN)
    assert retained.keep == {
        "clone_29": ["the last proven backup", "daily 1", "weekly 1", "monthly 1"],
        "clone_28": ["daily 2"],
        "clone_26": ["weekly 2"],  # Sunday, 15 November
        "clone_11": ["monthly 2"],  # 31 October
    }
    assert set(retained.delete.values()) == {"no count of the policy keeps it"}


def test_the_last_proven_backup_stays_whatever_came_after() -> None:
    failures = [backup(number, START + number * DAY, proven=False) for number in (5, 6)]
    assert kept([*nightly(3), *failures], Keep(last=1)) == [2, 5, 6]


def test_unproven_ones_do_not_count_and_go_when_a_newer_one_is_proven() -> None:
    history = [*nightly(2), backup(2, START + 2 * DAY, proven=False), backup(3, START + 3 * DAY)]
    retained = retain(history, Keep(last=2), BERLIN)
    assert retained.delete == {
        "clone_2": "not proven",
        "clone_0": "no count of the policy keeps it",
    }


def test_an_empty_one_takes_the_place_of_none_that_is_not() -> None:
    full = [replace(one, points=5, objects=2) for one in nightly(2)]
    empty = [
        replace(backup(number, START + number * DAY), points=0, objects=objects)
        for number, objects in ((2, 2), (3, 0))
    ]
    retained = retain([*full, *empty], Keep(daily=1), BERLIN)
    assert retained.keep == {
        "clone_1": ["the last proven backup", "daily 1"],
        "clone_2": ["it is empty, and takes the place of none that is not"],
        "clone_3": ["it is empty, and takes the place of none that is not"],
    }
    again = replace(backup(4, START + 4 * DAY), points=1, objects=0)
    retained = retain([*full, *empty, again], Keep(daily=2), BERLIN)
    assert retained.keep.keys() == {"clone_1", "clone_4"}
    assert retained.delete["clone_3"] == "empty, and a newer one is not"


def test_empty_ones_count_as_long_as_there_was_never_anything() -> None:
    empty = [replace(one, points=0, objects=0) for one in nightly(3)]
    assert kept(empty, Keep(last=1)) == [2]
    now = replace(backup(3, START + 3 * DAY), points=7, objects=0)
    assert kept([*empty, now], Keep(last=2)) == [2, 3]


def test_what_a_run_uses_stays() -> None:
    used = replace(backup(0, START), in_use=True)
    assert kept([used, *nightly(3)[1:]], Keep(last=1)) == [0, 2]


def test_a_policy_that_counts_nothing_keeps_everything() -> None:
    assert kept(nightly(3), Keep()) == [0, 1, 2]


def test_the_days_are_those_of_the_policys_time_zone() -> None:
    late = [backup(0, datetime(2026, 7, 1, 21, 30, tzinfo=timezone.utc))]
    later = [backup(1, datetime(2026, 7, 1, 22, 30, tzinfo=timezone.utc))]  # 0:30 in Berlin
    assert kept(late + later, Keep(daily=2)) == [0, 1]
    assert set(retain(late + later, Keep(daily=2), timezone.utc).keep) == {"clone_1"}


def test_the_hour_that_autumn_has_twice_is_two_hours() -> None:
    twice = datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc)
    history = [backup(0, twice), backup(1, twice + timedelta(hours=1))]
    assert kept(history, Keep(hourly=2)) == [0, 1]


def test_backups_that_a_wrong_clock_dated_into_the_future_displace_nothing_new() -> None:
    future = [backup(number, START + (1000 + number) * DAY) for number in range(3)]
    assert kept([*future, backup(3, START)], Keep(last=1)) == [3]
    assert kept([*future, backup(3, START)], Keep(daily=1)) == [3]


# ---- random histories against a reference model ----------------------------------------------


@dataclass(frozen=True)
class Tick:
    """One tick of the schedule: how far the clock moved since the last one, and what came of it."""

    minutes: int
    outcome: str
    in_use: bool
    is_empty: bool


_CLOCK = st.one_of(
    st.integers(30, 3000),  # ordinary ticks, some of them missed
    st.integers(10_000, 100_000),  # the daemon was down, or the clock jumped
    st.integers(-60_000, 0),  # it jumped back
)
_OUTCOMES = st.sampled_from(["proven", "proven", "proven", "unproven", "failed"])
_HISTORIES = st.lists(st.builds(Tick, _CLOCK, _OUTCOMES, st.booleans(), st.booleans()), max_size=25)
_COUNTS = st.integers(0, 4)
_KEEPS = st.builds(Keep, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)
_ZONES = st.sampled_from([timezone.utc, BERLIN, ZoneInfo("America/New_York")])
_BUCKETS = {"hourly": "%Y%m%d%H%z", "daily": "%Y%m%d", "weekly": "%G%V", "monthly": "%Y%m"}


def counts(one: Backup, backups: list[Backup]) -> bool:
    older = [other for other in backups if other.sequence < one.sequence]
    return one.proven and (one.points != 0 or all(other.points == 0 for other in older))


def may_be_deleted(backups: list[Backup], one: Backup, keep: Keep, zone: ZoneInfo) -> bool:
    """The rules, one after the other as a person would say them, about one backup."""
    newer = [other for other in backups if counts(other, backups) and other.sequence > one.sequence]
    if one.in_use or not newer or not any(vars(keep).values()):
        return False
    if not counts(one, backups):
        return True
    if len(newer) < keep.last:
        return False
    for rule, written in _BUCKETS.items():
        mine = one.made_at.astimezone(zone).strftime(written)
        theirs = {other.made_at.astimezone(zone).strftime(written) for other in newer}
        if mine not in theirs and len(theirs) < getattr(keep, rule):
            return False
    return True


def _live_through(history: list[Tick], keep: Keep, zone: ZoneInfo) -> None:
    """After each tick a sweep; what it deletes is what the reference lets go, and no more."""
    there: list[Backup] = []
    now = START
    for number, tick in enumerate(history):
        now += timedelta(minutes=tick.minutes)
        if tick.outcome != "failed":
            made = backup(number, now, proven=tick.outcome == "proven", in_use=tick.in_use)
            there.append(replace(made, points=0 if tick.is_empty else 5))
        retained = retain(there, keep, zone)
        allowed = {one.clone_id for one in there if may_be_deleted(there, one, keep, zone)}
        assert set(retained.delete) == allowed
        assert set(retained.keep) == {one.clone_id for one in there} - allowed
        last = max((one.sequence for one in there if one.proven and one.points), default=None)
        there = [one for one in there if one.clone_id in retained.keep]
        assert last is None or last in {one.sequence for one in there}
        # To sweep again changes nothing; an empty one that a run used may count by then.
        again = retain(there, keep, zone).delete
        assert not [one for one in there if one.clone_id in again and one.points]
        assert not again or any(one.in_use and not one.points for one in there)


@given(_HISTORIES, _KEEPS, _ZONES)
@settings(max_examples=300, deadline=None)
@pytest.mark.outside
def test_no_history_leads_to_a_wrong_deletion(
    history: list[Tick], keep: Keep, zone: ZoneInfo
) -> None:
    _live_through(history, keep, zone)


@pytest.mark.long
@given(_HISTORIES, _KEEPS, _ZONES)
@settings(max_examples=10_000, deadline=None)
def test_no_history_of_ten_thousand_leads_to_a_wrong_deletion(
    history: list[Tick], keep: Keep, zone: ZoneInfo
) -> None:
    _live_through(history, keep, zone)
