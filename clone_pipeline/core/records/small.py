"""Resource types of which there are few: written as the plan has them, and reported."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Text, cast, func, insert, literal, select

from ..catalog.documents import RECORDS
from ..catalog.schema import clone_resources
from ..kinds import ResourceKind
from ..ledger.work import Work
from ..report import LISTED, StepReport


def clone_small(work: Work, kind: ResourceKind) -> StepReport:
    """Writes a resource type of which there are few, as the plan has them, in one transaction."""
    with work.lease.write() as connection:
        insert_planned(connection, work, kind)
        return work.store(connection, small_report(connection, work, kind))


def insert_planned(connection: Connection, work: Work, kind: ResourceKind) -> None:
    """The planned documents become rows of the clone's namespace."""
    planned = clone_resources.c
    values: dict[str, Any] = {
        "namespace_key": literal(work.clone.namespace_key),
        kind.id_field: planned.target_id,
        kind.name_field: planned.name,
        "document": planned.document,
        "created_at": planned.created_at,
        "updated_at": planned.updated_at,
    }
    if kind.versioned:
        values["version"] = planned.version
    rows = select(*values.values()).where(
        planned.clone_id == work.clone.clone_id, planned.kind == kind.name
    )
    connection.execute(insert(RECORDS[kind.name].table).from_select(list(values), rows))


def small_report(connection: Connection, work: Work, kind: ResourceKind) -> StepReport:
    """What stands in the target of a kind of which there are few: count, size, names, ids."""
    planned = clone_resources.c
    mine = (planned.clone_id == work.clone.clone_id, planned.kind == kind.name)
    count = select(func.count(planned.source_id.distinct())).where(*mine)
    listed = (
        select(planned.name, planned.source_id, planned.target_id)
        .where(*mine)
        .distinct()
        .order_by(planned.name)
        .limit(LISTED)
    )
    size = func.coalesce(func.sum(func.length(cast(planned.document, Text))), 0)
    return StepReport(
        clone_id=work.clone.clone_id,
        step=kind.step,
        counts={kind.plural: int(connection.execute(count).scalar_one())},
        bytes=int(connection.execute(select(size).where(*mine)).scalar_one()),
        resources=[dict(row) for row in connection.execute(listed).mappings()],
    )
