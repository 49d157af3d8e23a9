"""One number of what was made, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from clone_pipeline.html_report import words
from clone_pipeline.html_report.plot import Bar, draw
from clone_pipeline.html_report.safe import safe


@dataclass(frozen=True)
class Moment:
    """What was made then. `number` is None where there is none, and then `instead` is shown; `tone`
    is that of a `Bar`."""

    name: str
    at: datetime
    number: float | None
    tone: str
    instead: str


@dataclass(frozen=True)
class Plot:
    title: str
    latest: str
    drawing: Markup


def over_time(title: str, moments: Sequence[Moment], shown: Callable[[Any], str]) -> Plot:
    """Of at least one moment, oldest first; `shown` makes a text of a number."""
    bars = []
    for one in moments:
        what = one.instead if one.number is None else shown(one.number)
        said = safe(f"{one.name}, {words.minute(one.at)}: {what}")
        bars.append(Bar(one.number, one.tone, said))
    known = [one.number for one in moments if one.number is not None]
    largest = shown(max(known)) if known else "none yet"
    ends = (words.minute(moments[0].at), words.minute(moments[-1].at))
    drawing = Markup(draw(bars, largest, *ends))  # noqa: S704  made by ElementTree, which escapes
    return Plot(title, shown(known[-1]) if known else "", drawing)
