"""Cron lines and time zones, as Dagster understands them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

_ONCE_A_DAY = ("@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


def check_cron(cron: str) -> None:
    """Raises ValueError with a sentence."""
    # Dagster takes a second to import, which those who only look need not wait for.
    from dagster._utils.schedules import is_valid_cron_string

    if not is_valid_cron_string(cron):
        raise ValueError(
            f"`cron` {cron!r} is no cron line; write five fields (minute, hour, day, month, "
            "weekday), such as `0 2 * * *` for two o'clock each night"
        )


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
