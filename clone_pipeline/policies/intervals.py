"""How often a policy is to run, for whoever waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, islice, pairwise

from clone_pipeline.policies.models import BackupPolicy, RefreshPolicy

# Ticks that are looked at for the longest time between two, and how far ahead.
_TICKS = 100
_AHEAD = timedelta(days=370)


def expected_interval(policy: BackupPolicy | RefreshPolicy, now: datetime) -> timedelta | None:
    """The longest time between two runs; None for a refresh that waits for a change, however long
    that takes."""
    if isinstance(policy, RefreshPolicy) and policy.max_age_seconds is not None:
        return timedelta(seconds=policy.max_age_seconds)
    if policy.cron is None:
        return None
    return _longest_turn(policy.cron, policy.timezone, _day(now))


def expected_test_interval(policy: BackupPolicy | RefreshPolicy, now: datetime) -> timedelta | None:
    """The longest time between two restore tests; None where there are to be none."""
    if isinstance(policy, RefreshPolicy) or policy.restore_test is None:
        return None
    return _longest_turn(policy.restore_test.cron, policy.timezone, _day(now))


def overdue_after(turn: timedelta) -> timedelta:
    """How old a last success may be: a turn, and a quarter of it, but a minute at least, because
    runs do not all take as long."""
    return turn + max(turn / 4, timedelta(minutes=1))


def _day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


# Whoever waits asks again and again, and a cron line takes milliseconds to follow.
@lru_cache(maxsize=2000)
def _longest_turn(cron: str, timezone: str, since: datetime) -> timedelta:
    # Dagster takes a second to import, which those who only look need not wait for.
    from dagster._utils.schedules import schedule_execution_time_iterator

    every = schedule_execution_time_iterator(since.timestamp(), cron, timezone)
    first = next(every)
    longest = timedelta(0)
    for earlier, later in pairwise(chain([first], islice(every, _TICKS - 1))):
        longest = max(longest, later - earlier)
        if later - first > _AHEAD:
            break
    return longest
