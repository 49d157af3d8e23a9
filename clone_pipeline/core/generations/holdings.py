"""What there is to sweep: every generation with what the ledger knows of it, in one read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from ..catalog.namespace import Namespace
from ..catalog.schema import clones, namespaces
from ..files.remove import Owned, owned_by_clone, referring_clones
from ..ledger.clones import BACKUP, UNFINISHED, Clone
from .retention import Backup

# So long a clone that failed can be resumed.
LEFTOVERS_STAY = timedelta(days=7)

_LEDGER = (
    "policy",
    "purpose",
    "source_namespace_id",
    "status",
    "request",
    "qdrant_collection",
    "points",
    "objects",
    "created_at",
    "updated_at",
    "heartbeat_at",
)


@dataclass(frozen=True)
class Generation:
    """One generation; `clone` is the ledger's row for it, None where clone-pipeline did not make
    it."""

    namespace: Namespace
    clone: dict[str, Any] | None

    @classmethod
    def of(cls, row: RowMapping) -> Generation:
        namespace = Namespace.of(_part(row, namespaces.columns.keys()))
        clone = {name: row[f"clones_{name}"] for name in _LEDGER}
        return cls(namespace, None if clone["status"] is None else clone)

    @property
    def is_unfinished(self) -> bool:
        return self.clone is not None and self.clone["status"] in UNFINISHED

    @property
    def is_half_deleted(self) -> bool:
        """Published once, and marked by a deletion that did not come to its end."""
        return (
            self.clone is not None
            and not self.is_unfinished
            and self.namespace.clone_status == "failed"
        )

    @property
    def is_backup(self) -> bool:
        return self.clone is not None and self.clone["purpose"] == BACKUP

    @property
    def is_proven(self) -> bool:
        """Every point and record was compared with the source before it was published."""
        clone = self.clone or {}
        whole = clone.get("status") == "ready" == self.namespace.clone_status
        return whole and clone["request"]["verify"] == "full"

    def counted(self, kind: str) -> int | None:
        """How many points or objects it was published with."""
        count: int | None = (self.clone or {})[kind]
        return count

    @property
    def begun_at(self) -> datetime:
        begun: datetime = (self.clone or {})["created_at"]
        return begun

    @property
    def heard_of_at(self) -> datetime:
        """When its last run gave a sign of life."""
        clone = self.clone or {}
        heard: datetime = max(clone["updated_at"], clone["heartbeat_at"] or clone["updated_at"])
        return heard

    def expired(self, now: datetime) -> bool:
        expires_at = self.namespace.expires_at
        return expires_at is not None and expires_at <= now


@dataclass(frozen=True)
class Holdings:
    """`in_use` says what reads or writes a generation, or will, by the generation's key."""

    now: datetime
    by_name: list[list[Generation]]
    in_use: dict[int, str]
    qdrant_collections: Counter[str]
    # By the clone that owns files: how much that is, and who refers to it.
    owned_files: dict[str, Owned]
    files_used_by: dict[str, list[tuple[str, str]]]

    @classmethod
    def read(cls, connection: Connection, organization_id: str | None, now: datetime) -> Holdings:
        """The namespaces of an organization, or (None) of all."""
        ledger = [clones.c[name].label(f"clones_{name}") for name in _LEDGER]
        query = (
            select(namespaces, *ledger)
            .outerjoin(clones, clones.c.clone_id == namespaces.c.clone_id)
            .order_by(
                namespaces.c.organization_id,
                namespaces.c.namespace_name,
                namespaces.c.generation.desc(),
            )
        )
        everything = [Generation.of(row) for row in connection.execute(query).mappings()]
        mine = [
            one
            for one in everything
            if organization_id is None or one.namespace.organization_id == organization_id
        ]
        return cls(
            now=now,
            by_name=[list(group) for _, group in groupby(mine, _name)],
            in_use=_in_use(connection, everything, now),
            qdrant_collections=Counter(
                one.namespace.qdrant_collection
                for one in everything
                if one.namespace.unreadable is None
            ),
            owned_files=owned_by_clone(connection),
            files_used_by=referring_clones(connection),
        )

    def files_needed(self, doomed: Iterable[Namespace]) -> str | None:
        """Why these generations must not go together: another namespace shares files that one of
        them owns."""
        going = {one.clone_id for one in doomed}
        for owner in going:
            for clone_id, name in self.files_used_by.get(str(owner), []):
                if clone_id not in going:
                    return f"{name!r} refers to the files that were copied for it"
        return None

    def owned(self, doomed: Iterable[Namespace]) -> Owned:
        """The files that go with these generations."""
        found = [self.owned_files.get(str(one.clone_id), Owned()) for one in doomed]
        return Owned(sum(one.files for one in found), sum(one.bytes for one in found))

    def named_like(self, one: Generation) -> list[Generation]:
        return next(group for group in self.by_name if _name(group[0]) == _name(one))

    def backups(self) -> dict[tuple[str, str, str], list[Generation]]:
        """The live, finished backups by organization, policy and id of the source: what is now
        cloned under a source's name, or for a policy, may be another namespace than before. The
        newest is the last one."""
        found: dict[tuple[str, str, str], list[Generation]] = {}
        for one in (one for group in self.by_name for one in group):
            live = one.namespace.role == "live" and one.namespace.is_ready
            if one.clone is not None and live and one.is_backup and not one.is_unfinished:
                policy, source = one.clone["policy"], one.clone["source_namespace_id"]
                of = (one.namespace.organization_id, policy, source)
                found.setdefault(of, []).append(one)
        # Of the rows that there are, the newest has the highest key, on both databases.
        return {of: sorted(group, key=lambda one: one.namespace.key) for of, group in found.items()}

    def as_backups(self, group: list[Generation]) -> list[Backup]:
        """The backups of a policy and a source, for the question which of them count."""
        return [
            Backup(
                clone_id=str(one.namespace.clone_id),
                name=one.namespace.name,
                sequence=one.namespace.key,
                made_at=one.begun_at,
                proven=one.is_proven,
                in_use=one.namespace.key in self.in_use,
                points=one.counted("points"),
                objects=one.counted("objects"),
            )
            for one in group
        ]

    def newest_backups(self, policy: str, organization_id: str | None = None) -> list[Generation]:
        """Of a policy: those of the source that it backed up last, the newest last."""
        groups = [
            group
            for (owner, name, _), group in self.backups().items()
            if name == policy and organization_id in (None, owner)
        ]
        return max(groups, key=lambda group: group[-1].namespace.key, default=[])

    def last_proven(self) -> dict[int, str]:
        """The last proven backup that a policy has of a source, by its key: the policy's name."""
        found = {}
        for (_, policy, _), backups in self.backups().items():
            proven = [one.namespace.key for one in backups if one.is_proven]
            if proven:
                found[proven[-1]] = policy
        return found

    def hindrance(self, one: Generation, because_of: Generation) -> str | None:
        """Why a generation must not go, when it would because of one of its name (or itself)."""
        if (error := one.namespace.unreadable) is not None:
            return error.message
        if one.clone is None:
            return f"generation {one.namespace.generation} is not a clone"
        if (use := self.in_use.get(one.namespace.key)) is not None:
            return use
        if one is not because_of and one.is_unfinished:
            return "its replacement is not finished"
        if one is not because_of and one.is_backup:
            return f"generation {one.namespace.generation} is a backup"
        collection = one.namespace.qdrant_collection
        if collection != one.clone["qdrant_collection"]:
            return f"its Qdrant collection {collection} is not the one that was made for it"
        if self.qdrant_collections[collection] > 1:
            return f"another namespace uses its Qdrant collection {collection}"
        return None


def _part(row: RowMapping, names: list[str]) -> Any:
    return {name: row[name] for name in names}


def _name(one: Generation) -> tuple[str, str]:
    return one.namespace.organization_id, one.namespace.name


def _in_use(connection: Connection, generations: list[Generation], now: datetime) -> dict[int, str]:
    query = select(clones).where(clones.c.status.in_(UNFINISHED)).order_by(clones.c.created_at)
    unfinished = [Clone.of(row) for row in connection.execute(query).mappings()]
    keys = {one.namespace.clone_id: one.namespace.key for one in generations}
    found = {}
    for clone in unfinished:
        heard_of_at = max(clone.updated_at, clone.heartbeat_at or clone.updated_at)
        if clone.source_environment is None and heard_of_at + LEFTOVERS_STAY > now:
            found[clone.source_namespace_key] = (
                f"{clone.namespace_name} is made of it, is not finished, and can be resumed until "
                f"{heard_of_at + LEFTOVERS_STAY:%Y-%m-%d %H:%M} UTC"
            )
    for clone in unfinished:
        if clone.is_held(now):
            own = () if clone.source_environment else (clone.source_namespace_key,)
            # What the lane `delta` begins with; without it all points would be streamed.
            base = clone.plan["base"]
            begun_with = None if base is None else keys.get(base["clone_id"])
            for key in filter(None, (*own, begun_with, clone.namespace_key)):
                found[key] = f"the run {clone.run_id} uses it"
    return found
