"""The base of the lane `delta`: the live generation that a refresh replaces, or the last backup of
the policy that asks for another one. What is known of it, and the lane that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from ..catalog.namespace import Namespace
from ..errors import NotFound
from ..ledger import clones as ledger
from ..ledger.backups import last_backup
from ..ledger.clones import Clone
from ..ledger.stored import StoredBase
from ..outputs import Proof
from ..references import IdMap
from ..refresh.quiet import is_quiet
from ..request import parse_request
from ..vectors.point import CollectionConfig
from .lane import Asked, Lane, choose_lane, count_payloads
from .situation import LIVE, NO_BASE, BaseSeen, Situation

if TYPE_CHECKING:
    from ..vectors.port import VectorStore
    from .plan import Plan


def sealed_base(
    connection: Connection, draft: Plan, policy: str | None, config: CollectionConfig
) -> BaseSeen:
    """What the ledger alone tells of it. `policy` is the one that asks for the clone, `config` what
    its Qdrant collection gets."""
    found = draft.replaces or _backup_before(connection, draft, policy)
    if found is None:
        return NO_BASE
    if found.clone_id is None:
        return BaseSeen(sealed=False)
    called, namespace_id = LIVE, None
    if found is not draft.replaces:
        called, namespace_id = f"the backup {found.name!r}", found.namespace_id
    clone = ledger.get(connection, found.clone_id)
    report = ledger.read_reports(connection, clone.clone_id).get(Proof.STEP)
    proof = None if report is None else report.output
    proven = proof if isinstance(proof, Proof) and proof.proven == "full" else None
    told = None if proven is None else proven.last_write
    return BaseSeen(
        called=called,
        sealed=told is not None,
        as_asked=clone.source_namespace_id == draft.source.namespace_id
        and parse_request(clone.request).content() == draft.request.content(),
        configured=clone.plan["qdrant_config"] == config,
        namespace_id=namespace_id,
        quiet=proven.source if proven and _may_stay(draft, found, clone) else None,
        base=None
        if told is None
        else {
            "clone_id": clone.clone_id,
            "called": called,
            "qdrant_collection": found.qdrant_collection,
            "last_write": told,
            "quiet": None,
        },
    )


def _may_stay(draft: Plan, found: Namespace, clone: Clone) -> bool:
    """Whether it may be kept as it is, if its source was quiet: it is live and not held, its
    records seem the same, and its points were rewritten and proven as they would be now."""
    return (
        found is draft.replaces
        and found.held_at is None
        and clone.plan["catalog_mark"] == draft.catalog_mark
        and draft.request.verify == "full"
        # What was asked to be copied so kept what its payloads name.
        and clone.request["lane"] != "native"
    )


def only_if_quiet(
    seen: BaseSeen,
    source: VectorStore,
    target: VectorStore,
    collection: str,
    mark: str,
    now: datetime,
) -> BaseSeen:
    """`seen` with `quiet` as the source, whose mark is `mark`, still tells it."""
    if seen.base is None or seen.quiet is None:
        return seen
    if not is_quiet(source, target, collection, mark, seen.quiet, now):
        return replace(seen, quiet=None)
    return replace(seen, base={**seen.base, "quiet": seen.quiet})


def _backup_before(connection: Connection, draft: Plan, policy: str | None) -> Namespace | None:
    if policy is None or ledger.purpose_for(policy, draft.request.model_dump()) != ledger.BACKUP:
        return None
    source = draft.source.namespace_id
    return last_backup(connection, draft.target_organization_id, policy, source)


def choose_with_base(
    asked: Asked, it: Situation, base: BaseSeen, target: VectorStore, ids: IdMap
) -> tuple[Lane, StoredBase | None]:
    """The lane, and what it begins with: only `delta` does. `ids` is the clone's map.

    Raises InvalidRequest where the lane that is asked for cannot be, StoreUnavailable, WorkError.
    """
    seen = _look_at(target, base)
    lane = choose_lane(asked, replace(it, base=seen))
    if lane.name == "delta":
        # At the end, because all payloads are read.
        seen = _count_payloads(target, seen, ids)
        lane = choose_lane(asked, replace(it, base=seen))
    return lane, seen.base if lane.name == "delta" else None


def _look_at(target: VectorStore, seen: BaseSeen) -> BaseSeen:
    """`seen` with what only the clone's Qdrant server can tell. Asks nothing where it is clear
    already."""
    if seen.base is None or target.native is None or not (seen.as_asked and seen.configured):
        return seen
    name = seen.base["qdrant_collection"]
    if target.last_write(name) != seen.base["last_write"]:
        return replace(seen, untouched=False)
    try:
        layout = target.native.layout(name)
    except NotFound:  # a moment ago
        return replace(seen, untouched=False)
    return replace(
        seen,
        outdated=layout.outdated,
        several_nodes=layout.several_nodes,
        unsettled=layout.unsettled,
    )


def _count_payloads(target: VectorStore, seen: BaseSeen, ids: IdMap) -> BaseSeen:
    """`seen` with how many of a backup's payloads name its namespace, where the clone's have
    another one."""
    if seen.base is None or seen.namespace_id is None or target.native is None:
        return seen
    organization = ids.organization[1]
    between = replace(
        ids,
        namespace=(seen.namespace_id, ids.namespace[1]),
        organization=(organization, organization),
    )
    count = count_payloads(target.native, seen.base["qdrant_collection"], between)
    return replace(seen, payloads_to_change=count)
