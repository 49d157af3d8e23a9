"""When a copy can be searched, and when it is indexed: asked of the server, not of the tool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .server import Refused, Server

_SEARCHABLE_SECONDS = 120.0
# Often at first, where a native copy is decided; seldom while an index is built.
_SHORT, _LONG, _LONG_AFTER = 0.02, 0.25, 5.0


class NotComplete(Exception):
    """The copy lacks points, or a search does not find what is there."""


@dataclass(frozen=True)
class Probe:
    """A point of the source: a search with its own vector must find it."""

    point_id: int | str
    query: list[float]
    using: str | None

    @classmethod
    def of(cls, server: Server, collection: str, point_id: int | str, using: str | None) -> Probe:
        path = f"/collections/{collection}/points/{point_id}"
        vector = server.call("GET", path)["vector"]
        return cls(point_id, vector[using] if using else vector, using)


@dataclass(frozen=True)
class Green:
    """`at` is None where the collection did not get there in time."""

    at: float | None
    optimizations: int | None


def wait_searchable(server: Server, collection: str, points: int, probe: Probe) -> float:
    """The moment (`time.monotonic`) at which all points are counted and a search finds one.

    Raises NotComplete.
    """
    reason = ""
    for _ in _polls(_SEARCHABLE_SECONDS):
        found = server.count(collection)
        if found != points:
            reason = f"{found:,} of {points:,} points"
        elif not _finds(server, collection, probe):
            reason = f"a search does not find point {probe.point_id}"
        else:
            return time.monotonic()
    raise NotComplete(f"not complete: {reason}")


def wait_green(server: Server, collection: str, limit_seconds: float) -> Green:
    """Green, with nothing running and nothing queued, and how many optimizations that took."""
    is_idle = _has_no_optimizations(server, collection)
    for _ in _polls(limit_seconds):
        status = server.call("GET", f"/collections/{collection}")["status"]
        if status == "green" and is_idle():
            return Green(time.monotonic(), _completed(server, collection))
    return Green(None, _completed(server, collection))


def _finds(server: Server, collection: str, probe: Probe) -> bool:
    body: dict[str, Any] = {"query": probe.query, "using": probe.using, "limit": 10}
    found = server.call("POST", f"/collections/{collection}/points/query", body)["points"]
    return any(point["id"] == probe.point_id for point in found)


def _has_no_optimizations(server: Server, collection: str) -> Callable[[], bool]:
    def told() -> bool:
        found = _optimizations(server, collection)
        return not found["running"] and not found["summary"]["queued_optimizations"]

    def guessed() -> bool:
        """Servers before 1.17 do not tell; their status is green between two optimizations too."""
        info = server.call("GET", f"/collections/{collection}")
        time.sleep(1.0)
        again = server.call("GET", f"/collections/{collection}")
        same: bool = info["indexed_vectors_count"] == again["indexed_vectors_count"]
        return same and bool(again["status"] == "green")

    return guessed if _optimizations(server, collection) is None else told


def _completed(server: Server, collection: str) -> int | None:
    found = _optimizations(server, collection)
    return None if found is None else len(found["completed"])


def _optimizations(server: Server, collection: str) -> Any:
    try:
        query = "with=completed,queued&completed_limit=10000"
        return server.call("GET", f"/collections/{collection}/optimizations?{query}")
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def _polls(limit_seconds: float) -> Iterator[None]:
    began = time.monotonic()
    while (waited := time.monotonic() - began) < limit_seconds:
        yield
        time.sleep(_SHORT if waited < _LONG_AFTER else _LONG)
