"""Cron lines and time zones, as Dagster understands them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

# What Dagster's parser takes beyond this (`R` for a random minute, digits of other alphabets) is
# not the same at each look, or not what people read.
_FIELD = re.compile(r"(?:[0-9*/,#?L-]|[A-Za-z]{3})+")
# A leap day may be eight years away; what comes less often is a slip, such as June 31.
_RAREST = timedelta(days=3650)
# Any moment will do, as long as it is always the same one.
_SOME_MOMENT = 946684800.0  # 2000-01-01

_LONGEST = 100

_ONCE_A_DAY = ("@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


def check_cron(cron: str) -> None:
    """Raises ValueError with a sentence."""
    # Dagster takes a second to import, which those who only look need not wait for.
    from dagster._utils.schedules import is_valid_cron_string

    a_word = cron.strip() in ("@hourly", *_ONCE_A_DAY)
    readable = a_word or all(_FIELD.fullmatch(field) for field in cron.split())
    if len(cron) > _LONGEST or not (readable and is_valid_cron_string(cron)):
        cron = cron if len(cron) <= _LONGEST else f"{cron[: _LONGEST - 3]}..."
        raise ValueError(
            f"`cron` {cron!r} is no cron line; write five fields (minute, hour, day, month, "
            "weekday), such as `0 2 * * *` for two o'clock each night"
        )
    if not _comes(cron):
        raise ValueError(
            f"`cron` {cron!r} never comes, or less than once in ten years: look at the days that "
            "its months have"
        )


# A long file has the same lines again and again.
@lru_cache(maxsize=2000)
def _comes(cron: str) -> bool:
    """Whether it ticks often enough. Where it never does, Dagster's iterator raises for everybody
    who asks: the daemon, and the whole code location when it is loaded."""
    from dagster._utils.schedules import schedule_execution_time_iterator
    from dagster._vendored.croniter.croniter import CroniterBadDateError

    ticks = schedule_execution_time_iterator(_SOME_MOMENT, cron, "UTC")
    try:
        first, second = next(ticks), next(ticks)
    except CroniterBadDateError:
        return False
    latest = datetime.fromtimestamp(_SOME_MOMENT, timezone.utc) + _RAREST
    return first < latest and second - first < _RAREST


def is_once_a_day(cron: str) -> bool:
    """Whether it surely ticks at most once on any day."""
    fields = cron.split()
    return cron.strip() in _ONCE_A_DAY or (len(fields) == 5 and "".join(fields[:2]).isdigit())


def check_timezone(name: str) -> None:
    """Raises ValueError with a sentence."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder of zones, such as `America`
        raise ValueError(
            f"there is no time zone {name!r}; write one such as `Europe/Berlin`"
        ) from None
