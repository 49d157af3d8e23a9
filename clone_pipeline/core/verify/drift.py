"""Whether the source has changed since it was read. Reported, and never decisive."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from ..catalog.documents import RECORDS
from ..catalog.schema import objects
from ..kinds import KINDS, ResourceKind
from ..kinds.buckets import copying, object_digest, read_rewritten
from ..vectors.digest import Digest
from ..vectors.port import CollectionConfig
from ..vectors.stream import Progress
from ..work import Work
from . import records
from .difference import Differences
from .points import PointsFound


@dataclass(frozen=True)
class WasRead:
    """What was read of the source, rewritten."""

    objects: Digest
    points: Progress
    qdrant_config: CollectionConfig


def find_drift(
    connection: Connection, work: Work, was: WasRead, points: PointsFound, config: CollectionConfig
) -> dict[str, Any]:
    """`moving` with numbers, or `quiet`. `points` and `config` tell of the source as it is now.

    Objects are read again for `verify: full`, else counted. Points are counted where the proof
    has not read the source's again.
    """
    moved = {
        kind.plural: _count_changed(connection, work, kind)
        for kind in KINDS
        if kind.requested(work.request)
    }
    moved["objects"] = _count_objects(connection, work, was.objects)
    if work.request.include_resources.collections:
        moved["points"] = abs(points.source_count - was.points.digest.count)
        if points.source not in (None, was.points.digest):
            moved["points"] = max(1, moved["points"])
    moved["qdrant_config"] = int(config != was.qdrant_config)
    moved = {name: number for name, number in moved.items() if number}
    return {"state": "moving" if moved else "quiet", "at_least": moved}


def _count_changed(connection: Connection, work: Work, kind: ResourceKind) -> int:
    expected = records.read_planned(connection, work.clone.clone_id, kind.name)
    source = records.read_actual(connection, work.clone.source_namespace_key, kind.name)
    now = {}
    for key, document in source.items():
        rewritten, _ = work.rewriter.rewrite(kind.name, document)
        now[rewritten[RECORDS[kind.name].id_field], key[1]] = rewritten
    return len(records.compare_documents(kind.name, expected, now, Differences()))


def _count_objects(connection: Connection, work: Work, was: Digest) -> int:
    mine = objects.c.namespace_key == work.clone.source_namespace_key
    count = select(func.count()).select_from(objects).where(mine)
    apart = abs(int(connection.execute(count).scalar_one()) - was.count)
    if apart or work.request.verify != "full":
        return apart
    now = Digest()
    for row, text, _ in read_rewritten(connection, copying(work), Counter()):
        now.add(object_digest(row["object_id"], row["bucket_id"], text))
    return int(now != was)
