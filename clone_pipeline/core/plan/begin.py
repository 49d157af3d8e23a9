"""From a request to a clone in the ledger: planned, its name taken, its lease held.

`begin` is idempotent: the same request resumes what is unfinished; another one discards it first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..catalog.documents import in_collection
from ..catalog.namespace import Namespace
from ..catalog.schema import clone_resources, clone_slices, clones, namespaces
from ..errors import Conflict, NameTaken, StorageFailed, StoreUnavailable
from ..generations.discard import discard
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.lease import Lease, in_progress, refuse_ended, superseded, take_over
from ..ledger.stored import StoredPlan
from ..outputs import Planned
from ..principal import Principal, require_writer
from ..process import Holder
from ..refresh.decide import held
from ..report import LISTED, StepReport
from ..request import CloneRequest
from ..source import reading_for, refuse_gone, source_environment
from ..stores import Stores
from .decision import decide_for, is_same
from .draft import draft_plan
from .listed import listed, outcome
from .make import expires_at, make_plan
from .measure import measure_points
from .parties import Parties
from .plan import Plan
from .resolve import resolve_parties


def begin(
    stores: Stores,
    request: CloneRequest,
    principal: Principal,
    run_id: str,
    ancestors: frozenset[str] = frozenset(),
    policy: str | None = None,
) -> Clone:
    """The clone that this run is to make, held by it: a new one, or an unfinished one to resume.

    `ancestors` are the runs that this one repeats, which are over: it need not wait for their
    lease. `policy` is the one that asks for it. Raises
    InProgress while another run holds the clone, what is wrong with the request, and
    StoreUnavailable or StorageFailed where the points cannot be looked at: the clone is this run's
    all the same then, to be planned anew.
    """
    require_writer(principal)
    ledger.note_heartbeats(stores)
    published = _published_by(stores, request, principal, ancestors | {run_id})
    if published is not None:
        return published
    with reading_for(stores, request) as snapshots:
        parties = resolve_parties(snapshots, request, principal)
        found = ledger.unfinished(snapshots.own, parties.organization_id, request.namespace_name)
    decision = decide_for(
        request,
        parties,
        found,
        stores.clock(),
        run_id=run_id,
        ended=ancestors,
        by_policy=policy is not None,
    )
    if decision == "held":
        # A policy's run may have been asked for before the rollback.
        raise Conflict(held(request.namespace_name))
    if found is None:
        return _plan_first(stores, request, principal, parties, run_id, policy)
    if decision == "in progress":
        with stores.catalog.read() as connection:
            # It may have ended since.
            refuse_ended(ledger.get(connection, found.clone_id))
        raise in_progress(found, same=is_same(found, request, parties))
    if decision == "discard":
        discard(stores, found)
        return begin(stores, request, principal, run_id, ancestors, policy)
    with stores.catalog.write() as connection:
        current = ledger.get(connection, found.clone_id, lock=True)
        hold(stores, connection, request, parties.source)
        clone = take_over(connection, current, run_id, Holder.current(), stores.clock(), ancestors)
        clone = adopt_request(connection, clone, request, policy)
    if clone.phase == "queued":
        return _plan_anew(stores, clone, request, parties)
    return clone


def hold(stores: Stores, connection: Connection, request: CloneRequest, source: Namespace) -> None:
    """Holds the source, in this deployment. In another environment nothing can be: there each step
    looks whether it is still there. Raises Conflict."""
    where = stores.source(source_environment(request))
    if where is stores:
        hold_source(connection, source)
    else:
        refuse_gone(where, source.key, source.namespace_id, source.name)


def _elsewhere(stores: Stores, request: CloneRequest) -> str | None:
    """The source's environment, where it is another one."""
    where = stores.source(source_environment(request))
    return None if where is stores else where.environment


def hold_source(connection: Connection, source: Namespace) -> None:
    """In the transaction in which a clone becomes held: whoever deletes the source has marked it
    before, or sees the clone after. Raises Conflict."""
    query = select(namespaces.c.clone_status).where(namespaces.c.namespace_key == source.key)
    row = connection.execute(query.with_for_update(read=True)).first()
    if row is None or row.clone_status not in (None, "ready"):
        raise Conflict(f"The source {source.name!r} was deleted a moment ago.")


def adopt_request(
    connection: Connection, clone: Clone, request: CloneRequest, policy: str | None
) -> Clone:
    """The same clone may be asked for with another proof or pace: the last word counts."""
    asked = request.model_dump()
    if any(asked[field] != clone.request[field] for field in ("verify", "verify_objects")):
        ledger.forget_reports(connection, clone.clone_id, ("verify_clone",))
    mine = clones.c.clone_id == clone.clone_id
    policy = policy or clone.policy
    purpose = ledger.purpose_for(policy, asked)
    values = {"request": asked, "policy": policy, "purpose": purpose}
    pace = "max_points_per_second"
    paced = {} if asked[pace] == clone.request.get(pace) else {"paced_until": None}
    connection.execute(update(clones).where(mine).values(values | paced))
    return replace(clone, request=asked, policy=policy, purpose=purpose)


def report_plan(stores: Stores, clone: Clone, started: datetime) -> StepReport:
    """The plan as the report of its step, which is in the ledger then."""
    report = _plan_report(clone, started, stores.clock())
    if clone.status in ledger.UNFINISHED:
        with Lease(stores, clone.clone_id, clone.token).write() as connection:
            ledger.store_report(connection, report, stores.clock())
    return report


def _plan_report(clone: Clone, started: datetime, now: datetime) -> StepReport:
    stored = clone.plan
    references = listed(stored["references"])
    return StepReport(
        clone_id=clone.clone_id,
        step="plan_clone",
        seconds=round((now - started).total_seconds(), 3),
        resources=[
            {key: item[key] for key in ("kind", "name", "source_id", "target_id")}
            for item in stored["id_map"][:LISTED]
        ],
        warnings=stored["warnings"],
        output=Planned(started.isoformat(), clone.run_id),
        details={
            "planned": stored["counts"],
            "lane": f"{stored['lane']}: {stored['lane_reason']}",
            "transport": stored["transport"],
            "slices": stored["slices"],
            "equality": stored["equality"],
            "references": stored["reference_counts"],
            "unlisted": stored["unlisted"],
            "not_rewritten": [
                {key: item[key] for key in ("resource", "resource_id", "path", "old")}
                | {"version": item.get("version") or None, "outcome": outcome(item)}
                for item in references.first(LISTED)
            ],
            "kept_with_their_ids": references.preserved,
            "disk_needed_bytes": stored["bytes"]["disk_needed"],
            "not_in_the_source": stored["target"]["not_in_the_source"],
            "files": stored["files"],
            "namespace_id": stored["target"]["namespace_id"],
        },
        resumed=clone.phase != "queued",
    )


def _published_by(
    stores: Stores, request: CloneRequest, principal: Principal, runs: frozenset[str]
) -> Clone | None:
    """The live clone that one of `runs` has published: such a run died after its last write."""
    query = select(clones).join(namespaces, namespaces.c.clone_id == clones.c.clone_id)
    query = query.where(
        namespaces.c.role == "live",
        clones.c.namespace_name == request.namespace_name,
        clones.c.request_identity == request.identity(),
        clones.c.status == "ready",
        clones.c.run_id.in_(runs),
    )
    with stores.catalog.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else Clone.of(row)


def _plan_first(
    stores: Stores,
    request: CloneRequest,
    principal: Principal,
    parties: Parties,
    run_id: str,
    policy: str | None,
) -> Clone:
    draft = draft_plan(stores, request, parties)
    try:
        made = measure_points(stores, draft, policy)
    except (StoreUnavailable, StorageFailed):
        # The name is kept, so that the clone can be resumed once the store can be used again.
        insert_clone(stores, draft, principal, run_id, policy)
        raise
    return insert_clone(stores, made, principal, run_id, policy)


def insert_clone(
    stores: Stores, made: Plan, principal: Principal, run_id: str | None, policy: str | None
) -> Clone:
    """Without a `run_id` it is a reservation, for a run that is to come."""
    request = made.request
    clone_id = stores.new_id()
    made = with_own_files(made, clone_id)
    now = stores.clock()
    try:
        with stores.catalog.write() as connection:
            hold(stores, connection, request, made.source)
            key = _insert_namespace(connection, stores, made, clone_id)
            connection.execute(
                insert(clones).values(
                    clone_id=clone_id,
                    organization_id=made.target_organization_id,
                    namespace_name=request.namespace_name,
                    namespace_key=key,
                    source_namespace_key=made.source.key,
                    source_environment=_elsewhere(stores, request),
                    source_namespace_id=made.source.namespace_id,
                    request=request.model_dump(),
                    request_identity=request.identity(),
                    principal=principal.to_json(),
                    policy=policy,
                    purpose=ledger.purpose_for(policy, request.model_dump()),
                    plan=made.to_json(),
                    parked=made.parked,
                    files_of=made.files_of,
                    qdrant_collection=_collection_name(made, clone_id),
                    phase="queued",
                    status="cloning",
                    run_id=run_id,
                    created_at=now,
                    updated_at=now,
                    **_held(run_id, now),
                )
            )
            _insert_resources(connection, made, clone_id)
            _insert_slices(connection, made, clone_id)
            if run_id is not None:
                ledger.note_run(connection, clone_id, run_id, now)
            return ledger.get(connection, clone_id)
    except IntegrityError:
        raise NameTaken(
            f"The name {request.namespace_name!r} was taken by another clone a moment ago; wait "
            "for that one, or choose another name."
        ) from None


def _held(run_id: str | None, now: datetime) -> dict[str, Any]:
    """Token 0 is that of a clone which no run has begun."""
    if run_id is None:
        return {"token": 0, "reserved_at": now, "heartbeat_at": now}
    return {"token": 1, **ledger.holder_values(Holder.current(), now)}


def _insert_namespace(connection: Connection, stores: Stores, made: Plan, clone_id: str) -> int:
    planned = made.resources[0]
    newest = select(func.coalesce(func.max(namespaces.c.generation), 0)).where(
        namespaces.c.namespace_id == made.target_namespace_id
    )
    document = in_collection(planned.document, _collection_name(made, clone_id))
    inserted = connection.execute(
        insert(namespaces)
        .values(
            organization_id=made.target_organization_id,
            namespace_id=made.target_namespace_id,
            namespace_name=planned.name,
            role="next" if made.replaces else "live",
            generation=connection.execute(newest).scalar_one() + 1,
            document=document,
            qdrant_config=made.qdrant_config,
            clone_status="cloning",
            clone_id=clone_id,
            created_at=made.replaces.created_at if made.replaces else planned.created_at,
            updated_at=planned.updated_at,
            expires_at=expires_at(made.request, stores.clock()),
        )
        .returning(namespaces.c.namespace_key)
    )
    return int(inserted.scalar_one())


def _insert_resources(connection: Connection, made: Plan, clone_id: str) -> None:
    rows = [resource.to_row(clone_id) for resource in made.resources]
    # What the ledger has of the namespace is what it will be, its own collection included.
    rows[0]["document"] = in_collection(rows[0]["document"], _collection_name(made, clone_id))
    connection.execute(insert(clone_resources), rows)


def _insert_slices(connection: Connection, made: Plan, clone_id: str) -> None:
    if made.slices:
        rows = [part.to_row(clone_id) for part in made.slices]
        connection.execute(insert(clone_slices), rows)


def _collection_name(made: Plan, clone_id: str) -> str:
    """Another one for each attempt, so that nothing of an earlier one can be in it."""
    return f"{made.target_namespace_id}_{clone_id.rpartition('_')[2]}"


def _plan_anew(stores: Stores, clone: Clone, request: CloneRequest, parties: Parties) -> Clone:
    """Before the first write a plan may be made again, with the same ids; it says what changed."""
    replaces = None
    if parties.unfinished is not None and parties.unfinished.role == "next":
        replaces = parties.replaces
    namespace_id = clone.plan["target"]["namespace_id"]
    parties = replace(parties, namespace_id=namespace_id, replaces=replaces)
    lease = Lease(stores, clone.clone_id, clone.token)
    with lease.kept_alive():  # to count very many points takes longer than a lease
        made = make_plan(stores, request, parties, clone.policy)
    if changes := _changes(clone.plan, made):
        made = replace(made, warnings=[f"Planned anew: {changes}.", *made.warnings])
    made = with_own_files(made, clone.clone_id)
    with lease.write() as connection:
        if ledger.get(connection, clone.clone_id).phase != "queued":
            raise superseded()  # by the same run, which a queue has delivered twice
        for table in (clone_resources, clone_slices):
            connection.execute(delete(table).where(table.c.clone_id == clone.clone_id))
        _insert_resources(connection, made, clone.clone_id)
        _insert_slices(connection, made, clone.clone_id)
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == clone.clone_id)
            .values(
                plan=made.to_json(),
                parked=made.parked,
                source_namespace_key=made.source.key,
                files_of=made.files_of,
            )
        )
        connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == clone.namespace_key)
            .values(qdrant_config=made.qdrant_config)
        )
        return ledger.get(connection, clone.clone_id)


def with_own_files(made: Plan, clone_id: str) -> Plan:
    """The plan in which the copies of files go into the clone's own folder: below the namespace's,
    so that one generation never touches the files of another."""
    files = made.id_map.files
    if files is None:
        return made
    return replace(made, id_map=replace(made.id_map, files=files.below(clone_id)))


def _changes(stored: StoredPlan, made: Plan) -> str:
    before = {(item["kind"], item["source_id"]) for item in stored["id_map"]}
    after = {(item.kind, item.source_id) for item in made.resources}
    parts = []
    for word, items in (("added", after - before), ("removed", before - after)):
        for kind in sorted({kind for kind, _ in items}):
            count = sum(1 for item in items if item[0] == kind)
            parts.append(f"{count} {kind}{'' if count == 1 else 's'} {word} in the source")
    return ", ".join(parts)
