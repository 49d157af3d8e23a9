"""Ways of doing the same, taken in turn for some rounds: their rates, and the ratios of one round.

Whatever else the machine does then meets all of them alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

# Of one round: by way, so many a second.
Rates = dict[str, float]


def rates(count: int, seconds: dict[str, float]) -> Rates:
    return {name: count / took for name, took in seconds.items()}


def table(
    rounds: Sequence[Rates], unit: str, ratio: str, limit: Callable[[str, Rates], float | None]
) -> list[dict[str, str]]:
    """Rows: medians and spreads, and under the name `ratio` those of each way's rate to its
    `limit` in the same round, if it has one."""
    rows = []
    for name in rounds[0]:
        found = [one[name] for one in rounds]
        row = {
            "what": name,
            unit: f"{statistics.median(found):,.0f}",
            "min to max": f"{min(found):,.0f} to {max(found):,.0f}",
            ratio: "",
            "spread": "",
        }
        limits = [at for one in rounds if (at := limit(name, one)) is not None]
        if limits:
            ratios = [rate / at for rate, at in zip(found, limits, strict=True)]
            row[ratio] = f"{statistics.median(ratios):.2f}"
            row["spread"] = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append(row)
    return rows
