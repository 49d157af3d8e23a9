"""Archives in the ledger: what was written where, for which policy, and how it was proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Connection, RowMapping, delete, select, update

from ..catalog.schema import archives
from ..errors import Conflict, NotFound
from ..generations.retention import Backup
from ..text import keepable

# `removing`: some of it may be gone, so it is no backup any more.
Status = Literal["writing", "ready", "failed", "removing", "removed"]


@dataclass(frozen=True)
class Archive:
    """One row of `archives`. `key` is the order in which they were begun, `manifest` the SHA-256 of
    that file, `contents` what the archive holds (see `contents.py`), `scratch` the name of the
    namespace that a restore test makes, while it does, and `tester` whose test that is (see
    `scratch.py`)."""

    key: int
    organization_id: str
    source_namespace_id: str
    name: str
    address: str
    policy: str | None
    status: Status
    error: str | None
    run_id: str
    proven: bool
    consistent: bool | None
    manifest: str | None
    contents: dict[str, Any] | None
    points: int | None
    objects: int | None
    bytes: int | None
    seconds: float | None
    restore_test: dict[str, Any] | None
    tested_at: datetime | None
    scratch: str | None
    tester: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: RowMapping) -> Archive:
        values = {("key" if name == "archive_key" else name): row[name] for name in row}
        return cls(**values)

    def as_backup(self) -> Backup:
        """For the question which of them stay, and which count."""
        return Backup(
            clone_id=str(self.key),
            name=self.name,
            sequence=self.key,
            made_at=self.created_at,
            proven=self.proven,
            in_use=self.scratch is not None,
            points=self.points,
            objects=self.objects,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "address": self.address,
            "organization_id": self.organization_id,
            "source_namespace_id": self.source_namespace_id,
            "policy": self.policy,
            "status": self.status,
            "error": self.error,
            "proven": self.proven,
            "consistent": self.consistent,
            "points": self.points,
            "objects": self.objects,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "restore_test": self.restore_test,
            "created_at": self.created_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
        }


def list_archives(
    connection: Connection, organization_id: str | None, *statuses: Status
) -> list[Archive]:
    """Of an organization, or of all, in the order in which they were begun."""
    query = select(archives).where(archives.c.status.in_(statuses))
    if organization_id is not None:
        query = query.where(archives.c.organization_id == organization_id)
    rows = connection.execute(query.order_by(archives.c.archive_key)).mappings()
    return [Archive.of(row) for row in rows]


def get(connection: Connection, key: int, *, lock: bool = False) -> Archive:
    """`lock` keeps others from writing it. Raises NotFound."""
    query = select(archives).where(archives.c.archive_key == key)
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if found is None:
        raise NotFound(f"The ledger has no archive {key}.")
    return Archive.of(found)


def find(connection: Connection, organization_id: str | None, identifier: str) -> Sequence[Archive]:
    """The archives that are there of the policy of that name; else the one with that name or
    address. In the order in which they were begun."""
    there = list_archives(connection, organization_id, "ready")
    of_policy = [one for one in there if one.policy == identifier]
    return of_policy or [one for one in there if identifier in (one.name, one.address)]


def begin(
    connection: Connection,
    *,
    organization_id: str,
    source_namespace_id: str,
    name: str,
    address: str,
    policy: str | None,
    run_id: str,
    now: datetime,
) -> Archive:
    """The archive at an address, for a run to write: a new one, or one that was cut off. One that
    is `ready` is given back as it is.

    Raises Conflict where it is of another namespace, or was removed.
    """
    at = archives.c.address == address
    row = connection.execute(select(archives).where(at).with_for_update()).mappings().first()
    if row is None:
        values = {
            "organization_id": organization_id,
            "source_namespace_id": source_namespace_id,
            "name": name,
            "address": address,
            "policy": policy,
            "status": "writing",
            "run_id": run_id,
            "proven": False,
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(archives.insert().values(**values))
    else:
        there = Archive.of(row)
        if there.source_namespace_id != source_namespace_id or there.status.startswith("remov"):
            raise Conflict(
                f"{address} had an archive of {there.source_namespace_id} before (it is "
                f"{there.status}); name another place."
            )
        if there.status == "ready":
            return there
        again = {"status": "writing", "error": None, "run_id": run_id, "updated_at": now}
        connection.execute(update(archives).where(at).values(**again))
    return Archive.of(connection.execute(select(archives).where(at)).mappings().one())


def change(connection: Connection, key: int, now: datetime, **values: Any) -> None:
    connection.execute(
        update(archives).where(archives.c.archive_key == key).values(updated_at=now, **values)
    )


def fail(connection: Connection, run_id: str, sentence: str, now: datetime) -> list[str]:
    """Notes how a run has ended that was to write an archive, unless another one has taken over;
    the addresses of what it did not finish."""
    mine = (archives.c.run_id == run_id) & (archives.c.status == "writing")
    found = connection.execute(select(archives.c.address).where(mine)).scalars().all()
    connection.execute(
        update(archives)
        .where(mine)
        .values(status="failed", error=keepable(sentence), updated_at=now)
    )
    return list(cast(Sequence[str], found))


def forget_removed(connection: Connection, organization_id: str | None, before: datetime) -> None:
    """Those that have been gone since before that moment."""
    gone = (archives.c.status == "removed") & (archives.c.updated_at < before)
    if organization_id is not None:
        gone &= archives.c.organization_id == organization_id
    connection.execute(delete(archives).where(gone))


def with_scratch(connection: Connection, organization_id: str | None) -> list[Archive]:
    """Those of which a restore test is under way, or was killed."""
    query = select(archives).where(archives.c.scratch.is_not(None))
    if organization_id is not None:
        query = query.where(archives.c.organization_id == organization_id)
    return [Archive.of(row) for row in connection.execute(query).mappings()]
