"""Who has copied how much of a clone: kept with each slice, told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..process import Holder
from ..report import pace

# By process: how many points, from when to when (ISO 8601).
Worked = dict[str, dict[str, Any]]


@dataclass
class Hand:
    """What one process does of a slice, from when it has it; `before` is what was done by then."""

    holder: Holder
    began: datetime
    before: Worked | None = None
    points: int = 0

    def worked(self, now: datetime) -> Worked:
        """By everybody."""
        key = f"{self.holder.host} {self.holder.pid} {self.holder.started}"
        mine = {"points": self.points, "began": self.began.isoformat(), "until": now.isoformat()}
        return together([self.before, {key: mine}])


def together(several: Iterable[Worked | None]) -> Worked:
    found: Worked = {}
    for one in several:
        for key, new in (one or {}).items():
            old = found.get(key, new | {"points": 0})
            found[key] = {
                "points": old["points"] + new["points"],
                "began": min(old["began"], new["began"]),
                "until": max(old["until"], new["until"]),
            }
    return found


def told(worked: Worked) -> list[dict[str, Any]]:
    """For a report: each process with its host, the most points first."""
    rows = []
    for key, one in worked.items():
        host, pid, _ = key.rsplit(" ", 2)
        began, until = (datetime.fromisoformat(one[name]) for name in ("began", "until"))
        rows.append(
            {
                "host": host.partition("/")[0],
                "process": int(pid),
                "points": one["points"],
                "points_per_second": pace(one["points"], (until - began).total_seconds()),
            }
        )
    return sorted(rows, key=lambda row: -row["points"])
