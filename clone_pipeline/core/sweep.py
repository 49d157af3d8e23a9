"""The sweep: takes away what has had its time. First a plan, then exactly that, each decided again.

What goes: surplus backups of a policy, expired clones, failed clones that nobody resumed, replaced
generations but the last one and the one that a rollback would bring back, and deletions that
stopped half-way. What was not made by clone-pipeline, what a run reads or writes, and S3 files
never go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection

from . import ledger
from .catalog.namespaces import Namespace
from .catalog.schema import namespaces
from .discard import discard, lock, remove
from .errors import CloneError, Conflict
from .holdings import LEFTOVERS_STAY, Generation, Holdings
from .publish import rollback_target
from .retention import Backup, Keep, retain
from .stores import Stores

# Readers that found a generation before it was replaced go on with it for a while.
REPLACED_STAYS = timedelta(hours=1)

Policies = Mapping[str, tuple[Keep, tzinfo]]


@dataclass(frozen=True)
class Entry:
    """Generations of one namespace that go, or stay on purpose, and why."""

    rule: str
    why: str
    generations: tuple[Namespace, ...]

    def parts(self) -> set[tuple[int, str | None, bool]]:
        """What goes, and which way: what is unfinished is discarded."""
        return {(one.key, one.clone_id, self.rule == "leftover") for one in self.generations}

    @property
    def sentence(self) -> str:
        one = self.generations[0]
        return f"{one.name} ({one.namespace_id}, generation {one.generation}): {self.why}."

    def to_json(self) -> list[dict[str, Any]]:
        """One row for each generation."""
        return [
            {
                "namespace_name": one.name,
                "namespace_id": one.namespace_id,
                "organization_id": one.organization_id,
                "generation": one.generation,
                "qdrant_collection": one.qdrant_collection,
                "rule": self.rule,
                "why": self.why,
            }
            for one in self.generations
        ]


@dataclass
class SweepPlan:
    removals: list[Entry] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)

    def removes(self, one: Generation) -> bool:
        return any(
            one.namespace.key == doomed.key
            for entry in self.removals
            for doomed in entry.generations
        )


@dataclass
class SweepReport:
    """What went, what stayed on purpose (or because it changed meanwhile), and what failed."""

    removed: list[Entry] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many generations."""
        return {name: len(rows) for name, rows in self.to_json().items()}

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        return {
            name: [row for entry in getattr(self, name) for row in entry.to_json()]
            for name in ("removed", "kept", "failed")
        }


def plan_sweep(stores: Stores, organization_id: str | None, policies: Policies) -> SweepPlan:
    """What a sweep would do now, in one organization or (None) in all. Writes nothing."""
    with stores.catalog.read() as connection:
        return _plan(stores, connection, organization_id, policies)


def run_sweep(
    stores: Stores, organization_id: str | None, policies: Policies, plan: SweepPlan
) -> SweepReport:
    """Does what is planned. Each removal is decided again where nothing can change any more; what
    is not to go then stays. One that fails does not keep the others from going."""
    report = SweepReport(kept=list(plan.kept))
    for entry in plan.removals:

        def check(connection: Connection, entry: Entry = entry) -> None:
            # All of ours: nobody deletes another backup before this one is marked.
            lock(connection, namespaces.c.clone_id.is_not(None))
            now = _plan(stores, connection, organization_id, policies)
            # An earlier removal of this sweep may have changed what goes together, not what goes.
            if not entry.parts() <= {part for other in now.removals for part in other.parts()}:
                raise Conflict("it changed after the sweep was planned")

        try:
            _carry_out(stores, entry, check)
            report.removed.append(entry)
        except Conflict as error:
            report.kept.append(_because(entry, error.message))
        except CloneError as error:
            report.failed.append(_because(entry, error.message))
    return report


def _carry_out(stores: Stores, entry: Entry, check: Callable[[Connection], None]) -> None:
    if entry.rule != "leftover":
        remove(stores, list(entry.generations), check)
        return
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, str(entry.generations[0].clone_id))
    discard(stores, clone, check)


def _because(entry: Entry, reason: str) -> Entry:
    return Entry(entry.rule, f"{entry.why}, but {reason.rstrip('.')}", entry.generations)


# ---- the plan --------------------------------------------------------------------------------


def _plan(
    stores: Stores, connection: Connection, organization_id: str | None, policies: Policies
) -> SweepPlan:
    holdings = Holdings.read(connection, organization_id, stores.clock())
    plan = SweepPlan()
    _plan_backups(plan, holdings, policies)
    for generations in holdings.by_name:
        # The live one first: the others may go with it.
        for one in sorted(generations, key=lambda one: one.namespace.role != "live"):
            if plan.removes(one):
                continue
            if one.is_unfinished:
                _plan_unfinished(plan, holdings, one)
            elif one.is_half_deleted:
                _plan_removal(plan, holdings, "half deleted", "its deletion stopped half-way", one)
            elif one.namespace.role == "previous":
                _plan_replaced(plan, holdings, one, generations)
            elif not one.is_backup and one.expired(holdings.now):
                expired = f"it expired at {one.namespace.expires_at:%Y-%m-%d %H:%M} UTC"
                _plan_removal(plan, holdings, "expired", expired, one)
    return plan


def _plan_backups(plan: SweepPlan, holdings: Holdings, policies: Policies) -> None:
    """Organization by organization: a policy of one never decides on backups of another."""
    for (_, name), backups in holdings.backups().items():
        if name not in policies:
            for one in backups:
                why = f"a backup of {name}, which is not among the policies"
                plan.kept.append(Entry("backup", why, (one.namespace,)))
            continue
        keep, timezone = policies[name]
        retained = retain([_as_backup(holdings, one) for one in backups], keep, timezone)
        for one in backups:
            clone_id = str(one.namespace.clone_id)
            if clone_id in retained.keep:
                reasons = ", ".join(retained.keep[clone_id])
                why = f"a backup of {name}: {reasons}"
                plan.kept.append(Entry("backup", why, (one.namespace,)))
            else:
                why = f"a backup of {name}: {retained.delete[clone_id]}"
                _plan_removal(plan, holdings, "backup", why, one)


def _as_backup(holdings: Holdings, one: Generation) -> Backup:
    return Backup(
        clone_id=str(one.namespace.clone_id),
        name=one.namespace.name,
        # Of the rows that there are, the newest has the highest key, on both databases.
        sequence=one.namespace.key,
        made_at=one.begun_at,
        proven=one.is_proven,
        in_use=one.namespace.key in holdings.in_use,
    )


def _plan_unfinished(plan: SweepPlan, holdings: Holdings, one: Generation) -> None:
    if (use := holdings.in_use.get(one.namespace.key)) is not None:
        plan.kept.append(Entry("leftover", use, (one.namespace,)))
        return
    until = one.heard_of_at + LEFTOVERS_STAY
    if holdings.now < until:
        why = f"it is not finished, and can be resumed until {until:%Y-%m-%d %H:%M} UTC"
        plan.kept.append(Entry("leftover", why, (one.namespace,)))
        return
    why = f"it failed, and nobody resumed it for {LEFTOVERS_STAY.days} days"
    plan.removals.append(Entry("leftover", why, (one.namespace,)))


def _plan_replaced(
    plan: SweepPlan, holdings: Holdings, one: Generation, generations: list[Generation]
) -> None:
    since = one.namespace.updated_at  # of a previous one: when it was replaced
    later = [
        other
        for other in generations
        if other.namespace.role == "previous"
        and other.namespace.is_ready
        and other.namespace.updated_at > since
    ]
    there = [other.namespace for other in generations]
    live = next((other for other in there if other.role == "live"), None)
    if one.is_backup:
        plan.kept.append(Entry("replaced", "it was replaced, but is a backup", (one.namespace,)))
    elif live is not None and rollback_target(live, there) == one.namespace:
        why = "a rollback would bring it back"
        plan.kept.append(Entry("replaced", why, (one.namespace,)))
    elif not later:
        plan.kept.append(Entry("replaced", "it was replaced last", (one.namespace,)))
    elif holdings.now < since + REPLACED_STAYS:
        why = "it was replaced less than an hour ago"
        plan.kept.append(Entry("replaced", why, (one.namespace,)))
    else:
        why = f"it was replaced at {since:%Y-%m-%d %H:%M} UTC, and another one after it"
        _plan_removal(plan, holdings, "replaced", why, one)


def _plan_removal(
    plan: SweepPlan, holdings: Holdings, rule: str, why: str, one: Generation
) -> None:
    """A replaced generation goes alone; with a live one all generations of the name go."""
    goes = [one] if one.namespace.role == "previous" else holdings.named_like(one)
    entry = Entry(rule, why, tuple(other.namespace for other in goes))
    hindrance = next(filter(None, (holdings.hindrance(other, one) for other in goes)), None)
    if hindrance is None:
        plan.removals.append(entry)
    else:
        plan.kept.append(_because(entry, hindrance))
