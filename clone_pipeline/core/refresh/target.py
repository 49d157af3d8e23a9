"""What a refresh looks at: a cheap mark of the source, and what stands in the target.

Looking must cost the same however large the namespace is. So objects are never counted or read:
they have no index by time. The buckets' own counters tell of uploads, the Qdrant server's number
of the last write tells of points. What neither tells, such as an object that is edited in place
on embedded stores, is missed; `max_age_seconds` is for that.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from ..catalog import namespaces as catalog
from ..catalog.schema import clones
from ..request import CloneRequest
from .decide import Target
from .marks import SourceMark, is_told


def read_target(
    connection: Connection,
    organization_id: str,
    name: str,
    source: SourceMark | None = None,
    wanted: CloneRequest | None = None,
) -> Target:
    """What stands under the target's name, and whether it is the `wanted` copy of `source` as it
    is; an unfinished first clone counts as nothing."""
    live = catalog.find_named(connection, organization_id, name)
    if live is None or not live.is_ready:
        return Target(name)
    # The sweep leaves what was rolled back from.
    rolled_back = any(
        one.generation > live.generation and one.role == "previous" and one.is_ready
        for one in catalog.generations(connection, organization_id, name)
    )
    held = live.held_at is not None
    # Out of the plan only these: it is long where there are many references.
    query = select(
        clones.c.created_at,
        clones.c.request,
        clones.c.plan["catalog_mark"].as_string().label("catalog_part"),
        clones.c.plan["source_mark"].as_string().label("points_part"),
    )
    made = connection.execute(query.where(clones.c.clone_id == live.clone_id)).first()
    if made is None:
        return Target(name, live.clone_id, live.created_at, rolled_back=rolled_back, held=held)
    return Target(
        name=name,
        clone_id=live.clone_id,
        made_at=made.created_at,
        is_copy=source is not None and _is_copy(made.catalog_part, made.points_part, source),
        as_wanted=wanted is None
        or wanted.content() == CloneRequest.model_validate(made.request).content(),
        rolled_back=rolled_back,
        held=held,
    )


def _is_copy(catalog_part: str | None, points_part: str, source: SourceMark) -> bool | None:
    """Whether a plan is of the source as it is; one of an earlier version has no `catalog_part`."""
    if catalog_part != source.catalog:
        return False
    if source.points is None or points_part == source.points:
        return True
    return False if is_told(points_part) else None
