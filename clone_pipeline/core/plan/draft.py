"""The plan without the points: what the catalog alone tells.

Small resources are read in one snapshot and rewritten here, so that the plan holds exactly what
will stand in the clone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Text, cast, func, select

from ..catalog import namespaces as catalog
from ..catalog.documents import NAMESPACE_COLUMNS, RECORDS, Document, assemble, split
from ..catalog.namespace import CLONE_STATE, COUNTS, Namespace
from ..catalog.schema import objects
from ..kinds import KINDS
from ..references import IdMap, Reference, Rewriter
from ..refresh.marks import catalog_mark
from ..request import CloneRequest
from ..source import is_on_same_server, reading_for, source_environment
from ..stores import Stores
from .files import file_map, owner_of_files, refuse_out_of_reach
from .id_map import allocate
from .lane import Asked, choose_lane
from .parties import Parties
from .plan import Plan
from .planned import PlannedResource
from .restore import Reinstated, cleared_before, read_parked
from .situation import Situation
from .warnings import refuse_dangling


def draft_plan(stores: Stores, request: CloneRequest, parties: Parties) -> Plan:
    """The plan without the points: what the catalog alone tells. Raises what `make_plan` does."""
    with reading_for(stores, request) as snapshots:
        connection = snapshots.source
        # Read again in this snapshot, so that the configuration and the resources fit together.
        source = catalog.by_key(connection, parties.source.key)
        id_map = allocate(snapshots, request, source, parties)
        id_map = replace(id_map, files=file_map(request, stores.files, id_map.namespace[1]))
        reinstated = read_parked(connection, source) if request.restore else Reinstated()
        resources, references = _rewrite(connection, stores, request, source, id_map, reinstated)
        before = cleared_before(connection, request, source)
        counts, sizes = _measure_objects(connection, source.key)
        target_only = _target_only(snapshots.own, parties.replaces, resources)
        files_of = (
            None if parties.elsewhere else owner_of_files(connection, request, source.clone_id)
        )
        seen = catalog_mark(connection, source)
    where = stores.source(source_environment(request))
    refuse_out_of_reach(request, where.files, stores.files, counts["objects"])
    lane = choose_lane(asked_lane(request, source), situation_of(stores, request, source, id_map))
    if request.on_dangling == "fail":
        refuse_dangling(request, resources, references)
    return Plan(
        request=request,
        source=source,
        target_organization_id=parties.organization_id,
        target_namespace_id=id_map.namespace[1],
        replaces=parties.replaces,
        id_map=id_map,
        resources=resources,
        references=references,
        counts={**_count(resources), **counts, "points": 0},
        bytes={**sizes, "points": 0, "disk_needed": sizes["objects"]},
        source_collection=source.qdrant_collection,
        qdrant_config={},
        equality="",
        lane=lane.name,
        lane_reason=lane.reason,
        warnings=[],
        target_only=target_only,
        reinstated=reinstated,
        cleared_before=before,
        catalog_mark=seen,
        may_take_alias=parties.may_take_alias,
        environments=(where.environment, stores.environment),
        source_catalog=where.catalog.identity() if parties.elsewhere else None,
        files_of=files_of,
    )


def asked_lane(request: CloneRequest, source: Namespace) -> Asked:
    """There is nothing inside Qdrant to copy of a template."""
    return "stream" if source.role == "template" else request.lane


def situation_of(stores: Stores, request: CloneRequest, source: Namespace, ids: IdMap) -> Situation:
    """What the request and the deployments alone tell of the lane."""
    where = stores.source(source_environment(request))
    there = where.vector_address
    apart = not is_on_same_server(stores, source, source_environment(request))
    only_reads = there.source_api_key is not None
    key = where.key_to_read(source.qdrant_url, source.qdrant_api_key)
    return Situation(
        collections=request.include_resources.collections,
        embedded=None in (stores.vector_address.url, source.qdrant_url or there.url),
        key_only_reads=apart and only_reads,
        hands_over_key=apart and key is not None,
        one_organization=ids.organization[0] == ids.organization[1],
        # Of an adopted collection there is no id in the points to preserve.
        preserves_ids=request.preserve_resource_ids or source.has_foreign_payloads,
        read_only_source_key=not apart and only_reads,
        copies_files=ids.files is not None,
    )


def _rewrite(
    connection: Connection,
    stores: Stores,
    request: CloneRequest,
    source: Namespace,
    id_map: IdMap,
    reinstated: Reinstated,
) -> tuple[list[PlannedResource], list[Reference]]:
    now = stores.clock()
    rewriter = Rewriter(id_map)
    raw = reinstated.document("namespace", "", 0, source.raw)
    namespace, references = _plan_namespace(request, source, raw, id_map, rewriter, now)
    resources = [namespace]
    for kind in KINDS:
        if not request.includes(kind):
            continue
        record = RECORDS[kind.name]
        for row in catalog.read_records(connection, source.key, kind.name):
            raw = assemble(row, record)
            source_id = row[record.id_field]
            version = record.version_of(row)
            raw = reinstated.document(kind.name, source_id, version, raw)
            document, found = rewriter.rewrite(kind.name, raw)
            found += rewriter.unlisted(kind.name, document)
            references += [replace(one, version=version, resource_id=source_id) for one in found]
            resources.append(
                PlannedResource(
                    kind=kind.name,
                    source_id=source_id,
                    version=version,
                    target_id=id_map.ids[kind.name][source_id],
                    name=row[str(record.name_field)],
                    document=split(document, record.columns, now)["document"],
                    created_at=row["created_at"],
                    updated_at=row["updated_at"],
                )
            )
    if request.restore:
        reinstated.finish(references, [kind.name for kind in KINDS if request.includes(kind)])
    return resources, references


def _plan_namespace(
    request: CloneRequest,
    source: Namespace,
    raw: Document,
    id_map: IdMap,
    rewriter: Rewriter,
    now: datetime,
) -> tuple[PlannedResource, list[Reference]]:
    document, references = rewrite_namespace(request, raw, rewriter)
    references += rewriter.unlisted("namespace", document)
    written = now.isoformat().replace("+00:00", "Z")
    document |= {"created_at": written, "updated_at": written}
    planned = PlannedResource(
        kind="namespace",
        source_id=source.namespace_id,
        version=0,
        target_id=id_map.namespace[1],
        name=request.namespace_name,
        document=document,
        created_at=now,
        updated_at=now,
    )
    return planned, references


def rewrite_namespace(
    request: CloneRequest, raw: Document, rewriter: Rewriter
) -> tuple[Document, list[Reference]]:
    """The document that a clone inherits, and what it refers to; its times are its own."""
    document, references = rewriter.rewrite("namespace", raw)
    own = (*CLONE_STATE, *COUNTS, *NAMESPACE_COLUMNS, "created_at", "updated_at")
    document = {key: value for key, value in document.items() if key not in own}
    if request.description:
        document["description"] = request.description
    return document, references


def _count(resources: list[PlannedResource]) -> dict[str, int]:
    distinct = Counter(kind for kind, _ in {(item.kind, item.source_id) for item in resources})
    return {kind.plural: distinct[kind.name] for kind in KINDS}


def _measure_objects(connection: Connection, key: int) -> tuple[dict[str, int], dict[str, int]]:
    text_length = func.length(cast(objects.c.document, Text))
    query = select(func.count(), func.coalesce(func.sum(text_length), 0)).where(
        objects.c.namespace_key == key
    )
    count, size = connection.execute(query).one()
    return {"objects": int(count)}, {"objects": int(size)}


def _target_only(
    connection: Connection, replaces: Namespace | None, resources: list[PlannedResource]
) -> dict[str, list[str]]:
    if replaces is None:
        return {}
    planned = {(item.kind, item.target_id) for item in resources}
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        record = RECORDS[kind.name]
        # A resource is one thing in all its versions.
        there = {
            row[record.id_field]: row[str(record.name_field)]
            for row in catalog.read_records(connection, replaces.key, kind.name)
        }
        if gone := [name for key, name in there.items() if (kind.name, key) not in planned]:
            found[kind.plural] = gone
    return found
