"""Numbers, sizes, times and moments as the page writes them; nothing for None."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from clone_pipeline.core import report


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def size(value: float | None) -> str:
    return "" if value is None else report.size(value)


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def day_and_time(moment: datetime | None) -> tuple[str, str]:
    if moment is None:
        return "never", ""
    day, _, time = minute(moment).partition(" ")
    return day, time


def facts(found: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """What stands below the head: of each the label, the value and a note."""
    return [{"label": label, "value": value, "note": note} for label, value, note in found]
