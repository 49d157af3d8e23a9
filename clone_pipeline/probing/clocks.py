"""Clocks that are apart: S3 refuses requests then, and ends of leases and keys go by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from clone_pipeline.probing.findings import Findings, Level, Store

Clock = Callable[[], datetime]

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
_TOO_FAR = timedelta(minutes=15)
_FAR = timedelta(seconds=60)


def read_date(header: str | None) -> datetime | None:
    """The time of an HTTP answer's Date, which has whole seconds; None for one that says none."""
    try:
        told = None if header is None else parsedate_to_datetime(header)
    except ValueError:
        return None
    if told is None:
        return None
    return told if told.tzinfo else told.replace(tzinfo=timezone.utc)


def compare(findings: Findings, store: Store, name: str, theirs: datetime, ours: datetime) -> None:
    """Says nothing of clocks that agree. `name` is the store's, at the end of a clause."""
    apart = abs(theirs - ours)
    if apart <= _FAR:
        return
    way = "behind" if theirs < ours else "ahead of"
    level: Level = "failed" if apart > _TOO_FAR else "warning"
    limit = "; S3 refuses requests from 15 min on" if level == "failed" else ""
    findings.add(
        store,
        level,
        f"The clock of {name} is {_words(apart)} {way} ours ({ours:%Y-%m-%d %H:%M:%S} UTC){limit}; "
        "set both by NTP.",
    )


def _words(apart: timedelta) -> str:
    seconds = round(apart.total_seconds())
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds / 3600:,.1f} h"
