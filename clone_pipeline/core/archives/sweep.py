"""Archives of policies that have had their time: by the rules of the sweep of clones.

First the ledger says that an archive is going, then it goes, then the ledger says that it is gone:
whatever moment this is cut off at, the next sweep goes on. Only what a manifest lists is removed;
and what is not in the ledger is not looked at.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, select

from ..bundle import discard_dead_loads
from ..bundle.archive import open_place, remove_archive, remove_unfinished
from ..catalog.schema import archives, loads
from ..errors import CloneError, Conflict
from ..generations.holdings import LEFTOVERS_STAY
from ..generations.retention import retain
from ..generations.sweep import Policies, source_of, why_all_stay
from ..ledger.clones import DISCARDED_STAY
from ..points.retry import Retry
from ..stores import Stores
from . import records
from .own import own_manifest
from .records import Archive
from .scratch import drop_killed


@dataclass(frozen=True)
class Entry:
    """An archive that goes, or stays on purpose, and why."""

    archive: Archive
    why: str

    @property
    def sentence(self) -> str:
        return f"{self.archive.address}: {self.why}."

    def to_json(self) -> dict[str, Any]:
        one = self.archive
        return {
            "name": one.name,
            "address": one.address,
            "organization_id": one.organization_id,
            "why": self.why,
        }


@dataclass
class ArchiveSweep:
    """What goes or went, what stays on purpose (or because it changed meanwhile), what failed."""

    removed: list[Entry] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        return {
            name: [entry.to_json() for entry in getattr(self, name)]
            for name in ("removed", "kept", "failed")
        }


def plan_archives(stores: Stores, organization_id: str | None, policies: Policies) -> ArchiveSweep:
    """What a sweep would do now, in one organization or (None) in all. Writes nothing."""
    with stores.catalog.read() as connection:
        return _plan(connection, organization_id, policies, stores.clock())


def sweep_archives(
    stores: Stores, organization_id: str | None, policies: Policies, plan: ArchiveSweep
) -> ArchiveSweep:
    """Does what is planned, each decided again, and drops what killed restore tests have left. One
    that fails does not keep the others from going."""
    done = ArchiveSweep(kept=list(plan.kept))
    with stores.catalog.write() as connection:
        records.forget_removed(connection, organization_id, stores.clock() - DISCARDED_STAY)
    _drop_leftovers(stores, organization_id)
    for entry in plan.removed:
        try:
            _mark(stores, organization_id, policies, entry)
            _remove(stores, entry.archive)
            done.removed.append(entry)
        except Conflict as error:
            done.kept.append(_because(entry, error))
        except CloneError as error:
            done.failed.append(_because(entry, error))
    return done


def _drop_leftovers(stores: Stores, organization_id: str | None) -> None:
    drop_killed(stores, organization_id)
    with stores.catalog.read() as connection:
        is_left = connection.execute(select(exists().select_from(loads))).scalar()
    if is_left:
        with stores.vectors() as vectors:
            discard_dead_loads(stores.catalog, vectors)


def _mark(stores: Stores, organization_id: str | None, policies: Policies, entry: Entry) -> None:
    """From here on it is no backup. Raises Conflict where it is not to go any more."""
    key = entry.archive.key
    with stores.catalog.write() as connection:
        # All of them: nobody marks another one before this one is.
        connection.execute(select(archives.c.archive_key).with_for_update()).all()
        now = _plan(connection, organization_id, policies, stores.clock())
        if all(other.archive.key != key for other in now.removed):
            raise Conflict("it changed after the sweep was planned")
        records.change(connection, key, stores.clock(), status="removing")


def _remove(stores: Stores, archive: Archive) -> None:
    retry = Retry(stores)
    with closing(open_place(archive.address, stores.files)) as place:
        manifest = own_manifest(place, archive)
        if manifest is None:
            remove_unfinished(place, archive.source_namespace_id, retry)
        else:
            remove_archive(place, manifest, retry)
    with stores.catalog.write() as connection:
        records.change(connection, archive.key, stores.clock(), status="removed")


def _because(entry: Entry, error: CloneError) -> Entry:
    return Entry(entry.archive, f"{entry.why}, but {error.message.rstrip('.')}")


def _plan(
    connection: Connection, organization_id: str | None, policies: Policies, now: datetime
) -> ArchiveSweep:
    plan = ArchiveSweep()
    groups: dict[tuple[str, str, str], list[Archive]] = {}
    for one in records.list_archives(
        connection, organization_id, "writing", "ready", "failed", "removing"
    ):
        if one.status == "removing":
            plan.removed.append(Entry(one, "its removal stopped half-way"))
        elif one.status == "ready" and one.policy is not None:
            group = one.organization_id, one.policy, one.source_namespace_id
            groups.setdefault(group, []).append(one)
        elif one.status != "ready":
            _plan_unfinished(plan, one, now)
    sources = {
        name: source_of(connection, organization_id, rule) for name, rule in policies.items()
    }
    for (_, policy, source), group_of in groups.items():
        why = why_all_stay(policy, source, policies, sources)
        if why is None:
            _plan_surplus(plan, group_of, policy, policies)
        else:
            plan.kept += [Entry(one, why) for one in group_of]
    return plan


def _plan_surplus(
    plan: ArchiveSweep, group: list[Archive], policy: str, policies: Policies
) -> None:
    rule = policies[policy]
    retained = retain([one.as_backup() for one in group], rule.keep, rule.timezone)
    for one in group:
        key = str(one.key)
        if key in retained.keep:
            why = f"a backup of {policy}: {', '.join(retained.keep[key])}"
            plan.kept.append(Entry(one, why))
        else:
            why = f"a backup of {policy}: {retained.delete[key]}"
            plan.removed.append(Entry(one, why))


def _plan_unfinished(plan: ArchiveSweep, one: Archive, now: datetime) -> None:
    until = one.updated_at + LEFTOVERS_STAY
    if now < until:
        why = f"it is not finished, and can be gone on with until {until:%Y-%m-%d %H:%M} UTC"
        plan.kept.append(Entry(one, why))
        return
    why = f"it was cut off, and nobody went on with it for {LEFTOVERS_STAY.days} days"
    plan.removed.append(Entry(one, why))
