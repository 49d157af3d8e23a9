"""The archives of a policy in order, and why each stays or goes: for whoever looks back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ..catalog.schema import archives
from ..errors import NotFound
from ..generations.retention import Keep
from ..generations.sweep import Policies
from ..ledger.history import MOST, History, read_history, the_only_one
from ..stores import Stores
from .records import Archive
from .sweep import plan_archives


@dataclass(frozen=True)
class Fate:
    """Whether the next sweep removes it, and why."""

    stays: bool
    why: str


@dataclass(frozen=True)
class ArchiveHistory:
    """`made` are the newest `MOST` of `count`, oldest first; `there` is how many of all are there.
    `shown` is the one to look at: the last that is there, else the last that was proven, else the
    last. `fates` are by key; `keep` are the policy's counts, None where the policies file does not
    have it."""

    policy: str
    organization_id: str
    count: int
    there: int
    made: list[Archive]
    shown: Archive
    keep: Keep | None
    fates: dict[int, Fate]

    @property
    def newest(self) -> Archive:
        return self.made[-1]


def read_any_history(
    stores: Stores,
    organization_id: str | None,
    identifier: str,
    policies: Policies,
    *,
    of_policy: bool = False,
) -> History | ArchiveHistory:
    """As `read_history`; of a policy that writes archives, of these. Of one that has made both,
    because it was changed, of what it made last. Raises NotFound, InvalidRequest."""
    made: History | None = None
    with stores.catalog.read() as connection:
        if not _counted(connection, organization_id, identifier):
            return read_history(connection, organization_id, identifier, of_policy=of_policy)
        with suppress(NotFound):
            made = read_history(connection, organization_id, identifier, of_policy=of_policy)
    if made is not None and made.policy is None:
        return made  # a namespace that is called so
    archived = read_archive_history(stores, organization_id, identifier, policies)
    return archived if made is None or made.newest.begun_at < archived.newest.created_at else made


def read_archive_history(
    stores: Stores, organization_id: str | None, policy: str, policies: Policies
) -> ArchiveHistory:
    """Of a policy that has archives. Raises InvalidRequest where that is so in several
    organizations."""
    with stores.catalog.read() as connection:
        counted = _counted(connection, organization_id, policy)
        owner, count = the_only_one(policy, counted)
        mine = (archives.c.policy == policy) & (archives.c.organization_id == owner)
        newest_first = select(archives).where(mine).order_by(archives.c.archive_key.desc())
        rows = connection.execute(newest_first.limit(MOST)).mappings().all()
        ready = select(func.count()).where(mine, archives.c.status == "ready")
        there = int(connection.execute(ready).scalar_one())
    made = [Archive.of(row) for row in reversed(rows)]
    plan = plan_archives(stores, owner, policies)
    rule = policies.get(policy)
    return ArchiveHistory(
        policy=policy,
        organization_id=owner,
        count=count,
        there=there,
        made=made,
        shown=max(made, key=lambda one: (one.status == "ready", one.proven, one.key)),
        keep=None if rule is None else rule.keep,
        fates={
            entry.archive.key: Fate(stays, entry.why.removeprefix(f"a backup of {policy}: "))
            for entries, stays in ((plan.kept, True), (plan.removed, False))
            for entry in entries
        },
    )


def _counted(connection: Connection, organization_id: str | None, policy: str) -> dict[str, int]:
    """How many there are of it, by organization."""
    query = select(archives.c.organization_id, func.count()).where(archives.c.policy == policy)
    if organization_id is not None:
        query = query.where(archives.c.organization_id == organization_id)
    rows = connection.execute(query.group_by(archives.c.organization_id))
    return {row[0]: row[1] for row in rows}
