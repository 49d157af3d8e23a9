"""The sweep: takes away what has had its time. First a plan, then exactly that, each decided again.

What goes: surplus backups of a policy, expired clones, failed clones that nobody resumed, replaced
generations but the last one and the one that a rollback would bring back, and deletions that
stopped half-way; and from the ledger, clones that have been gone for long. What was not made by
clone-pipeline, what a run reads or writes, and S3 files but copies of what goes never go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..catalog.schema import namespaces
from ..errors import CloneError, Conflict, InvalidRequest
from ..files.remove import NOTHING_OWNED, Owned
from ..ledger import clones as ledger
from ..stores import Stores
from .alias import settle, with_alias
from .delete import lock, remove
from .discard import discard
from .holdings import LEFTOVERS_STAY, Generation, Holdings
from .publish import replaced_in
from .retention import Keep, retain
from .rollback import rollback_target

# Readers that found a generation before it was replaced go on with it for a while.
REPLACED_STAYS = timedelta(hours=1)


@dataclass(frozen=True)
class BackupRule:
    """How many backups of a policy stay, by the days of which time zone, and what they are backups
    of: `source` is an id or a name, in its organization or (None) in that of whoever sweeps.
    `archives`: the policy writes archives now."""

    keep: Keep
    timezone: tzinfo
    source: str
    source_organization_id: str | None = None
    archives: bool = False


Policies = Mapping[str, BackupRule]


@dataclass(frozen=True)
class Entry:
    """Generations of one namespace that go, or stay on purpose, and why; `owned` are the files that
    go with them."""

    rule: str
    why: str
    generations: tuple[Namespace, ...]
    owned: Owned = NOTHING_OWNED

    def parts(self) -> set[tuple[int, str | None, bool]]:
        """What goes, and which way: what is unfinished is discarded."""
        return {(one.key, one.clone_id, self.rule == "leftover") for one in self.generations}

    @property
    def sentence(self) -> str:
        one = self.generations[0]
        files = f"; with {self.owned}" if self.owned.files else ""
        return f"{one.name} ({one.namespace_id}, generation {one.generation}): {self.why}{files}."

    def to_json(self) -> list[dict[str, Any]]:
        """One row for each generation."""
        return [
            {
                "namespace_name": one.name,
                "namespace_id": one.namespace_id,
                "organization_id": one.organization_id,
                "generation": one.generation,
                "qdrant_collection": None if one.unreadable else one.qdrant_collection,
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
    ledger.note_heartbeats(stores)
    report = SweepReport(kept=list(plan.kept))
    # First: what an alias still stands for may be about to go.
    _settle_aliases(stores, organization_id, report)
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
    ledger.forget_discarded(stores, organization_id)
    return report


def _settle_aliases(stores: Stores, organization_id: str | None, report: SweepReport) -> None:
    """For what was cut off between the catalog and Qdrant. Raises what the store raises: then
    nothing is removed."""
    with stores.catalog.read() as connection:
        found = with_alias(connection, organization_id)
    for live in found:
        try:
            settle(stores, live)
        except Conflict as error:
            report.failed.append(Entry("alias", error.message.rstrip("."), (live,)))


def _carry_out(stores: Stores, entry: Entry, check: Callable[[Connection], None]) -> None:
    if entry.rule != "leftover":
        remove(stores, list(entry.generations), check)
        return
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, str(entry.generations[0].clone_id))
    discard(stores, clone, check)


def _because(entry: Entry, reason: str) -> Entry:
    why = f"{entry.why}, but {reason.rstrip('.')}"
    return Entry(entry.rule, why, entry.generations)


# ---- the plan --------------------------------------------------------------------------------


def _plan(
    stores: Stores, connection: Connection, organization_id: str | None, policies: Policies
) -> SweepPlan:
    holdings = Holdings.read(connection, organization_id, stores.clock())
    plan = SweepPlan()
    _plan_backups(plan, connection, organization_id, holdings, policies)
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


def _plan_backups(
    plan: SweepPlan,
    connection: Connection,
    organization_id: str | None,
    holdings: Holdings,
    policies: Policies,
) -> None:
    """Organization by organization, and source by source: a policy of one never decides on backups
    of another, and a backup makes way for newer ones of the same namespace alone."""
    sources = {
        name: source_of(connection, organization_id, rule) for name, rule in policies.items()
    }
    for (_, name, source), backups in holdings.backups().items():
        why = why_all_stay(name, source, policies, sources)
        if why is None:
            _plan_surplus(plan, holdings, backups, name, policies[name])
        else:
            _keep_all(plan, backups, why)


def why_all_stay(
    policy: str, source: str, policies: Policies, sources: Mapping[str, str | None]
) -> str | None:
    """Why no backup that a policy has of a namespace, by its id, is surplus; None where `keep`
    decides. `sources`: what each policy backs up now."""
    if policy not in policies:
        return f"a backup of {policy}, which is not among the policies"
    if sources[policy] is None:
        return f"a backup of {policy}, whose source is not there"
    if sources[policy] != source:
        return f"a backup of {policy}, of {source}, which is not the policy's source any more"
    return None


def source_of(connection: Connection, organization_id: str | None, rule: BackupRule) -> str | None:
    """The id of the namespace that a policy backs up now; None where nobody could tell."""
    try:
        where = rule.source_organization_id or organization_id
        found = catalog.find_source(connection, where, rule.source)
    except InvalidRequest:  # the name stands in several organizations
        return None
    return None if found is None else found.namespace_id


def _keep_all(plan: SweepPlan, backups: list[Generation], why: str) -> None:
    plan.kept += [Entry("backup", why, (one.namespace,)) for one in backups]


def _plan_surplus(
    plan: SweepPlan, holdings: Holdings, backups: list[Generation], name: str, rule: BackupRule
) -> None:
    retained = retain(holdings.as_backups(backups), rule.keep, rule.timezone)
    for one in backups:
        clone_id = str(one.namespace.clone_id)
        if clone_id in retained.keep:
            reasons = ", ".join(retained.keep[clone_id])
            why = f"a backup of {name}: {reasons}"
            plan.kept.append(Entry("backup", why, (one.namespace,)))
        else:
            why = f"a backup of {name}: {retained.delete[clone_id]}"
            _plan_removal(plan, holdings, "backup", why, one)


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
    owned = holdings.owned([one.namespace])
    plan.removals.append(Entry("leftover", why, (one.namespace,), owned))


def _plan_replaced(
    plan: SweepPlan, holdings: Holdings, one: Generation, generations: list[Generation]
) -> None:
    since = one.namespace.updated_at  # of a previous one: when it was replaced
    later = [
        other
        for other in generations
        if other.namespace.role == "previous"
        and other.namespace.is_ready
        and replaced_in(other.namespace) > replaced_in(one.namespace)
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
    generations = tuple(other.namespace for other in goes)
    entry = Entry(rule, why, generations, holdings.owned(generations))
    hindrance = next(filter(None, (holdings.hindrance(other, one) for other in goes)), None)
    hindrance = hindrance or holdings.files_needed(generations)
    if hindrance is None:
        plan.removals.append(entry)
    else:
        plan.kept.append(_because(entry, hindrance))
