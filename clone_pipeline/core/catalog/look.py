"""What database this is, what its role may do, and whether it can be written: nothing of what is
found out here leaves a trace."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, text

from ..errors import StorageFailed
from .engine import VERSION_TABLE, Catalog
from .schema import metadata, namespaces, objects, organizations

# What a role may do with each table, and whether the server is a replica that nobody can write.
_RIGHTS = """
    SELECT name, has_table_privilege(name, 'SELECT') AS reads,
           has_table_privilege(name, 'INSERT') AS inserts,
           has_table_privilege(name, 'UPDATE') AS updates,
           has_table_privilege(name, 'DELETE') AS deletes
    FROM unnest(CAST(:names AS text[])) AS name ORDER BY name
"""


@dataclass(frozen=True)
class Rights:
    """Of the role that is connected, by name of the table: what it may not read, what it may not
    write in full, and what it may write at all. `replica`: nobody can write there."""

    role: str
    unreadable: tuple[str, ...]
    unwritable: tuple[str, ...]
    writable: tuple[str, ...]
    replica: bool


def server(catalog: Catalog) -> str:
    """Which database answers, such as `PostgreSQL 17.2`."""
    with catalog.read() as connection:
        if catalog.is_sqlite:
            version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
            return f"SQLite {version}"
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return f"PostgreSQL {str(version).partition(' ')[0]}"


def now(catalog: Catalog) -> datetime | None:
    """What the database's server takes for now; None for SQLite, which has our own clock."""
    if catalog.is_sqlite:
        return None
    with catalog.read() as connection:
        told: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return told


def rights(catalog: Catalog) -> Rights | None:
    """None for SQLite, where the right to a file is the right to all that is in it. The catalog's
    schema must be this program's: a table that is not there is an error."""
    if catalog.is_sqlite:
        return None
    names = [*metadata.tables, VERSION_TABLE]
    with catalog.read() as connection:
        rows = connection.execute(text(_RIGHTS), {"names": names}).mappings().all()
        role = connection.exec_driver_sql("SELECT current_user").scalar_one()
        replica = connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
    writes = ("inserts", "updates", "deletes")
    return Rights(
        role=role,
        unreadable=tuple(row["name"] for row in rows if not row["reads"]),
        unwritable=tuple(row["name"] for row in rows if not all(row[one] for one in writes)),
        writable=tuple(row["name"] for row in rows if any(row[one] for one in writes)),
        replica=replica,
    )


def may_create(catalog: Catalog) -> bool:
    """Whether the role may make tables, as a first use and an upgrade do."""
    if catalog.is_sqlite:
        return True
    query = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    with catalog.read() as connection:
        return bool(connection.exec_driver_sql(query).scalar())


def some_objects(catalog: Catalog, organization_id: str | None, most: int) -> list[dict[str, Any]]:
    """The documents of a few objects of live namespaces, of one organization or of all."""
    query = (
        select(objects.c.document)
        .join(namespaces, namespaces.c.namespace_key == objects.c.namespace_key)
        .where(namespaces.c.role == "live")
        .limit(most)
    )
    if organization_id is not None:
        query = query.where(namespaces.c.organization_id == organization_id)
    with catalog.read() as connection:
        found = connection.execute(query).scalars().all()
    return [document for document in found if isinstance(document, dict)]


def try_row(catalog: Catalog, now: datetime) -> None:
    """Writes a row, reads it back, and takes the transaction back. Raises StorageFailed where the
    row is not there, and what writing raises."""
    name = f"clone_pipeline_check_{secrets.token_hex(6)}"
    query = select(organizations.c.internal_id).where(organizations.c.organization_id == name)
    with _taken_back(catalog) as connection:
        connection.execute(
            insert(organizations).values(organization_id=name, internal_id=name, created_at=now)
        )
        if connection.execute(query).scalar() != name:
            raise StorageFailed("The catalog does not have a row that was just written to it.")


class _TakeBack(Exception):
    """Ends a transaction of which nothing is to stay."""


@contextmanager
def _taken_back(catalog: Catalog) -> Iterator[Connection]:
    try:
        with catalog.write() as connection:
            yield connection
            raise _TakeBack
    except _TakeBack:
        return
