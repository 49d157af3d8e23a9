"""Whether the client's memory grows with the number of points."""

from __future__ import annotations

from typing import Any

from .datasets import for_memory
from .rounds import Say, Servers, load_source, run_method
from .server import Server

_SIZES = (100_000, 1_000_000)
_GREEN_SECONDS = 3600.0


def measure(server: Server, scale: float, say: Say) -> list[dict[str, Any]]:
    """Peak resident bytes of a process that copies, and proves, ten times as many points."""
    found: list[dict[str, Any]] = []
    for size in _SIZES:
        dataset = for_memory(round(size * scale))
        source = load_source(server, dataset, say, _GREEN_SECONDS)
        outcome = run_method(Servers(server), source, "stream", 0, 0.0)
        server.delete(source.collection)
        if outcome.problem:
            raise SystemExit(f"{dataset.title}: {outcome.problem}")
        copied, proven = outcome.peak_bytes, outcome.told["peak_bytes"]
        found.append(
            {
                "points": dataset.points,
                "copy_peak_mb": round(copied / 1e6, 1),
                "copy_growth_percent": _growth(found, "copy_peak_mb", copied),
                "clone_peak_mb": round(proven / 1e6, 1),
                "clone_growth_percent": _growth(found, "clone_peak_mb", proven),
                "bar": "at most 5 percent",
            }
        )
    return found


def _growth(found: list[dict[str, Any]], key: str, peak_bytes: int) -> float | None:
    """In percent of the first size."""
    if not found:
        return None
    first: float = found[0][key]
    return round(100 * (peak_bytes / 1e6 / first - 1), 2)
