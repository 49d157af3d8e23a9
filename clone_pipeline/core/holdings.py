"""What there is to sweep: every generation with what the ledger knows of it, in one read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from .catalog.namespaces import Namespace
from .catalog.schema import clones, namespaces
from .ledger import UNFINISHED, Clone, backup_policy

# So long a clone that failed can be resumed.
LEFTOVERS_STAY = timedelta(days=7)

_LEDGER = ("policy", "status", "request", "qdrant_collection", "created_at", "updated_at")


@dataclass(frozen=True)
class Generation:
    """One generation; `clone` is the ledger's row for it, None where clone-pipeline did not make
    it."""

    namespace: Namespace
    clone: dict[str, Any] | None

    @classmethod
    def of(cls, row: RowMapping) -> Generation:
        namespace = Namespace.of(_part(row, namespaces.columns.keys()))
        clone = {name: row[f"clones_{name}"] for name in (*_LEDGER, "heartbeat_at")}
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
        return self.clone is not None and bool(
            backup_policy(self.clone["policy"], self.clone["request"])
        )

    @property
    def is_proven(self) -> bool:
        """Every point and record was compared with the source before it was published."""
        clone = self.clone or {}
        whole = clone.get("status") == "ready" == self.namespace.clone_status
        return whole and clone["request"]["verify"] == "full"

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

    @classmethod
    def read(cls, connection: Connection, organization_id: str | None, now: datetime) -> Holdings:
        """The namespaces of an organization, or (None) of all."""
        ledger = [clones.c[name].label(f"clones_{name}") for name in (*_LEDGER, "heartbeat_at")]
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
            in_use=_in_use(connection, now),
            qdrant_collections=Counter(one.namespace.qdrant_collection for one in everything),
        )

    def named_like(self, one: Generation) -> list[Generation]:
        return next(group for group in self.by_name if _name(group[0]) == _name(one))

    def backups(self) -> dict[tuple[str, str], list[Generation]]:
        """The live, finished backups by organization and policy."""
        found: dict[tuple[str, str], list[Generation]] = {}
        for one in (one for group in self.by_name for one in group):
            live = one.namespace.role == "live" and one.namespace.is_ready
            if live and one.is_backup and not one.is_unfinished:
                policy = str((one.clone or {})["policy"])
                found.setdefault((one.namespace.organization_id, policy), []).append(one)
        return found

    def hindrance(self, one: Generation, because_of: Generation) -> str | None:
        """Why a generation must not go, when it would because of one of its name (or itself)."""
        if one.clone is None:
            return f"generation {one.namespace.generation} was not made by clone-pipeline"
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


def _in_use(connection: Connection, now: datetime) -> dict[int, str]:
    query = select(clones).where(clones.c.status.in_(UNFINISHED)).order_by(clones.c.created_at)
    unfinished = [Clone.of(row) for row in connection.execute(query).mappings()]
    found = {}
    for clone in unfinished:
        heard_of_at = max(clone.updated_at, clone.heartbeat_at or clone.updated_at)
        if heard_of_at + LEFTOVERS_STAY > now:
            found[clone.source_namespace_key] = (
                f"{clone.namespace_name} is made of it, is not finished, and can be resumed until "
                f"{heard_of_at + LEFTOVERS_STAY:%Y-%m-%d %H:%M} UTC"
            )
    for clone in unfinished:
        if clone.is_held(now):
            for key in (clone.source_namespace_key, clone.namespace_key):
                found[key] = f"the run {clone.run_id} uses it"
    return found
