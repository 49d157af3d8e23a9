"""Whether the source has changed since it was read. Reported, and never decisive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from ..catalog.schema import objects
from ..difference import Differences
from ..kinds import KINDS, ResourceKind
from ..ledger.work import Work
from ..outputs import SourceRead
from ..records.objects import digest_source
from ..source import Snapshots
from ..vectors.digest import Digest
from ..vectors.point import CollectionConfig
from . import records


@dataclass(frozen=True)
class WasRead:
    """What was read of the source, rewritten."""

    objects: Digest
    qdrant_config: CollectionConfig


@dataclass(frozen=True)
class SourceNow:
    """The source's Qdrant collection when the proof is done; a mark changes with every write.

    `points` is how many points there are now, `points_read` and `mark_read` belong to what was read
    of it (no mark: nothing was). `read` is what is kept of it, where it is quiet still.
    """

    config: CollectionConfig
    mark: str
    points: int
    points_read: int
    mark_read: str | None
    warnings: list[str]
    read: SourceRead | None


def find_drift(snapshots: Snapshots, work: Work, was: WasRead, now: SourceNow) -> dict[str, Any]:
    """`moving` with numbers, or `quiet`.

    Objects are read again for `verify: full`, else counted. Of points is told how many more or
    fewer there are; 1 where the count is the same and something was written all the same.
    """
    moved = {
        kind.plural: _count_changed(snapshots, work, kind)
        for kind in KINDS
        if work.request.includes(kind)
    }
    moved["objects"] = _count_objects(snapshots.source, work, was.objects)
    if work.request.include_resources.collections:
        moved["points"] = _count_points(now, configured=now.config == was.qdrant_config)
    moved["qdrant_config"] = int(now.config != was.qdrant_config)
    moved = {name: number for name, number in moved.items() if number}
    return {"state": "moving" if moved else "quiet", "at_least": moved}


def _count_points(now: SourceNow, *, configured: bool) -> int:
    """`configured`: as it was read. To make or drop a payload index is a write, too."""
    apart = abs(now.points - now.points_read)
    written = now.mark_read is not None and now.mark != now.mark_read
    return max(1, apart) if written and configured else apart


def _count_changed(snapshots: Snapshots, work: Work, kind: ResourceKind) -> int:
    expected = records.read_planned(snapshots.own, work.clone.clone_id, kind.name)
    put_back = work.clone.plan.get("put_back", [])
    source_key = work.clone.source_namespace_key
    now = records.read_expected(snapshots.source, source_key, kind.name, work.rewriter, put_back)
    return len(records.compare_documents(kind.name, expected, now, Differences()))


def _count_objects(connection: Connection, work: Work, was: Digest) -> int:
    mine = objects.c.namespace_key == work.clone.source_namespace_key
    count = select(func.count()).select_from(objects).where(mine)
    apart = abs(int(connection.execute(count).scalar_one()) - was.count)
    if apart or work.request.verify != "full":
        return apart
    return int(digest_source(connection, work) != was)
