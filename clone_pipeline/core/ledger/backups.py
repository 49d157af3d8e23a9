"""The backups that policies have: which there are, which is the last one, and which are older."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, select

from ..catalog.namespace import Namespace
from ..catalog.schema import archives, clones, namespaces
from .clones import BACKUP, Clone


def last_backup(
    connection: Connection, organization_id: str, policy: str, source_namespace_id: str
) -> Namespace | None:
    """The one that was proven last, of those that stand."""
    query = (
        select(namespaces)
        .join(clones, clones.c.clone_id == namespaces.c.clone_id)
        .where(
            _of(organization_id, policy, source_namespace_id),
            clones.c.request["verify"].as_string() == "full",
            namespaces.c.role == "live",
            namespaces.c.clone_status == "ready",
        )
        # Of the rows that there are, the newest has the highest key.
        .order_by(namespaces.c.namespace_key.desc())
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Namespace.of(row)


def other_backups(connection: Connection, clone: Clone) -> Sequence[str]:
    """The clone ids of those that a backup has beside it; of what is none, nothing."""
    if clone.backup_policy is None:
        return []
    mine = _of(clone.organization_id, clone.backup_policy, clone.source_namespace_id)
    query = select(clones.c.clone_id).where(mine, clones.c.clone_id != clone.clone_id)
    return connection.execute(query).scalars().all()


def list_backups(connection: Connection) -> dict[tuple[str, str], list[str]]:
    """By organization and policy, the oldest name first; also of policies that have none any more.

    Read out of an index: the rows of the ledger are long, and this is asked each minute.
    """
    found: dict[tuple[str, str], list[str]] = {}
    columns = (clones.c.organization_id, clones.c.policy, clones.c.namespace_name, clones.c.status)
    of_clones = select(*columns).where(clones.c.purpose == BACKUP)
    of_archives = select(
        archives.c.organization_id, archives.c.policy, archives.c.name, archives.c.status
    )
    for query, policy in ((of_clones, clones.c.policy), (of_archives, archives.c.policy)):
        for row in connection.execute(query.where(policy.is_not(None))):
            names = found.setdefault((row[0], row[1]), [])
            if row[3] == "ready":
                names.append(row[2])
    return {key: sorted(set(names)) for key, names in found.items()}


def _of(organization_id: str, policy: str, source_namespace_id: str) -> ColumnElement[bool]:
    return and_(
        clones.c.organization_id == organization_id,
        clones.c.policy == policy,
        clones.c.purpose == BACKUP,
        clones.c.source_namespace_id == source_namespace_id,
        clones.c.status == "ready",
    )
