"""Figures from outcomes: medians with their spread, and ratios within the same round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .methods import METHODS
from .rounds import Outcome

Measure = Callable[[Outcome], float | None]


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(statistics.median(known), min(known), max(known))

    def text(self) -> str:
        if self.least == self.most:
            return _number(self.median)
        return f"{_number(self.median)} ({_number(self.least)}-{_number(self.most)})"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def searchable(outcome: Outcome) -> float | None:
    return outcome.searchable


def green(outcome: Outcome) -> float | None:
    return outcome.green


def cpu(outcome: Outcome) -> float | None:
    return outcome.cpu_seconds


def proof_cpu(outcome: Outcome) -> float | None:
    return outcome.proof_cpu_seconds


def proof(outcome: Outcome) -> float | None:
    return outcome.proof_seconds


def scrolls(outcome: Outcome) -> float | None:
    return outcome.scrolls_seconds


def ratio(
    outcomes: Sequence[Outcome], above: tuple[str, Measure], below: tuple[str, Measure]
) -> Spread | None:
    """Of two measures of two methods in the same round; rounds that lack one are left out."""
    over, under = _by_round(outcomes, *above), _by_round(outcomes, *below)
    return Spread.of(over[one] / under[one] for one in over if under.get(one))


def _by_round(outcomes: Sequence[Outcome], method: str, measure: Measure) -> dict[int, float]:
    return {
        outcome.round: value
        for outcome in outcomes
        if outcome.method == method
        and not outcome.problem
        and (value := measure(outcome)) is not None
    }


def rows(outcomes: Sequence[Outcome], points: int) -> list[dict[str, Any]]:
    """One for each method in the order of METHODS, the proof of a copy below that copy."""
    found = []
    for name in METHODS:
        mine = [outcome for outcome in outcomes if outcome.method == name]
        if not mine:
            continue
        found.append(_row(outcomes, name, mine, points))
        if any(outcome.proof_cpu_seconds for outcome in mine):
            found.append(_proof_row(outcomes, name, mine, points))
    return found


def _row(
    outcomes: Sequence[Outcome], name: str, mine: Sequence[Outcome], points: int
) -> dict[str, Any]:
    good = [outcome for outcome in mine if not outcome.problem]
    return _cells(
        name,
        METHODS[name].title,
        {
            "points_per_second": Spread.of(points / one.searchable for one in good),
            "times_migrate": ratio(outcomes, ("migrate", searchable), (name, searchable)),
            "searchable_s": Spread.of(map(searchable, good)),
            "times_snapshot_s": ratio(outcomes, (name, searchable), ("snapshot", searchable)),
            "green_s": Spread.of(map(green, good)),
            "optimizations": Spread.of(one.optimizations for one in good),
            "cpu_us_per_point": Spread.of(1e6 * one.cpu_seconds / points for one in good),
            "points_per_core_s": Spread.of(
                points / one.cpu_seconds if one.cpu_seconds else None for one in good
            ),
            "peak_mb": Spread.of(one.peak_bytes / 1e6 for one in good),
        },
        _note(mine),
    )


def _proof_row(
    outcomes: Sequence[Outcome], name: str, mine: Sequence[Outcome], points: int
) -> dict[str, Any]:
    known = [outcome.proof_cpu_seconds for outcome in mine if outcome.proof_cpu_seconds]
    times = ratio(outcomes, (name, proof_cpu), (name, cpu))
    read = ratio(outcomes, (name, proof), (name, scrolls))
    return _cells(
        f"{name}-proof",
        f"proof after {METHODS[name].title}",
        {
            "searchable_s": Spread.of(outcome.proof_seconds for outcome in mine),
            "cpu_us_per_point": Spread.of(1e6 * one / points for one in known),
            "points_per_core_s": Spread.of(points / one for one in known),
        },
        ""
        if times is None or read is None
        else f"{times.text()} x the copy's CPU; seconds are its "
        f"own, {read.text()} x those of bare scrolls of what it reads",
    )


COLUMNS = (
    "points_per_second",
    "times_migrate",
    "searchable_s",
    "times_snapshot_s",
    "green_s",
    "optimizations",
    "cpu_us_per_point",
    "points_per_core_s",
    "peak_mb",
)


def _cells(
    name: str, title: str, figures: Mapping[str, Spread | None], note: str
) -> dict[str, Any]:
    return {"method": title, "name": name, **{c: figures.get(c) for c in COLUMNS}, "note": note}


def _note(mine: Sequence[Outcome]) -> str:
    problems = [outcome.problem for outcome in mine if outcome.problem]
    if not problems:
        warnings = [text for outcome in mine for text in outcome.told.get("warnings", [])]
        return warnings[0] if warnings else ""
    return problems[0] if len(problems) == len(mine) else f"{len(problems)} times: {problems[0]}"


@dataclass(frozen=True)
class Bar:
    """A ratio that has to be reached: `above` over `below`, at least or at most `bound`."""

    what: str
    above: tuple[str, Measure]
    below: tuple[str, Measure]
    bound: float
    at_least: bool

    def row(self, outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
        found = ratio(outcomes, self.above, self.below)
        if found is None:
            return None
        reached = found.median >= self.bound if self.at_least else found.median <= self.bound
        bound = f"{'at least' if self.at_least else 'at most'} {_number(self.bound)}"
        return {"ratio": self.what, "found": found, "bar": bound, "reached": reached}


BARS = (
    Bar("stream / migrate, points/s", ("migrate", searchable), ("stream", searchable), 10, True),
    Bar("stream / Go tool, points/s", ("go", searchable), ("stream", searchable), 3, True),
    Bar("migrate / stream, CPU a point", ("migrate", cpu), ("stream", cpu), 8, True),
    Bar(
        "stream between two servers / within one, points/s",
        ("stream", searchable),
        ("stream-apart", searchable),
        0.9,
        True,
    ),
    Bar(
        "stream / bare upserts, seconds",
        ("stream", searchable),
        ("upserts", searchable),
        1.25,
        False,
    ),
    Bar("native / snapshot, seconds", ("native", searchable), ("snapshot", searchable), 1.3, False),
    Bar("stream / native, s to green", ("stream", green), ("native", green), 20, True),
    Bar("proof / stream copy, CPU", ("stream", proof_cpu), ("stream", cpu), 1.5, False),
)


def bar_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [row for bar in BARS if (row := bar.row(outcomes)) is not None]


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is printed, without what is told below the table; the JSON has all spreads."""
    return {
        _LABELS.get(key, key): _shown(key, value)
        for key, value in record.items()
        if key not in ("name", "note")
    }


def _shown(key: str, value: Any) -> Any:
    if not isinstance(value, Spread):
        return value
    return _number(value.median) if key in _WITHOUT_SPREAD else value.text()


_WITHOUT_SPREAD = ("optimizations", "points_per_core_s", "peak_mb")
_LABELS = {
    "points_per_second": "points/s",
    "times_migrate": "x migrate",
    "searchable_s": "searchable, s",
    "times_snapshot_s": "x snapshot",
    "green_s": "green, s",
    "optimizations": "optimized",
    "cpu_us_per_point": "CPU, us/point",
    "points_per_core_s": "points/core-s",
    "peak_mb": "peak MB",
}
