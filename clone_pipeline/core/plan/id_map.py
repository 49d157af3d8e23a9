"""The id map of a clone: every new id, before anything is written."""

from __future__ import annotations

from sqlalchemy import Connection

from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS
from ..catalog.namespace import Namespace
from ..ids import derive, derive_free
from ..kinds import KINDS
from ..references import IdMap
from ..request import CloneRequest
from .parties import Parties
from .restore import restored_from


def allocate(
    connection: Connection, request: CloneRequest, source: Namespace, parties: Parties
) -> IdMap:
    backed_up = restored_from(connection, source) if request.restore else None
    ids: dict[str, dict[str, str]] = {}
    names: dict[str, set[str]] = {}
    left_out: dict[str, set[str]] = {}
    for kind in KINDS:
        rows = list(catalog.read_records(connection, source.key, kind.name))
        record = RECORDS[kind.name]
        old = list(dict.fromkeys(row[record.id_field] for row in rows))
        called = {row[str(record.name_field)] for row in rows}
        if request.includes(kind):
            ids[kind.name] = _new_ids(connection, request, parties, kind.name, old)
            names[kind.name] = called
        else:
            left_out[kind.name] = called | set(old)
    return IdMap(
        namespace=(
            source.namespace_id,
            parties.namespace_id or _namespace_id(connection, request, source, parties, backed_up),
        ),
        organization=(
            catalog.internal_id(connection, source.organization_id),
            catalog.internal_id(connection, parties.organization_id),
        ),
        ids=ids,
        names=names,
        left_out=left_out,
        restored_from=None if backed_up is None else backed_up[0],
        foreign_payloads=source.has_foreign_payloads,
    )


def _namespace_id(
    connection: Connection,
    request: CloneRequest,
    source: Namespace,
    parties: Parties,
    backed_up: tuple[str, str] | None,
) -> str:
    """Derived; but a namespace that was lost comes back, under its name, with its id too."""
    organization, name = parties.organization_id, request.namespace_name

    def taken(candidate: str) -> bool:
        return catalog.id_taken(connection, organization, candidate)

    if backed_up is not None and backed_up[1] == name and not taken(backed_up[0]):
        return backed_up[0]
    return derive_free("namespace", organization, name, source.namespace_id, taken)[0]


def _new_ids(
    connection: Connection, request: CloneRequest, parties: Parties, kind: str, old: list[str]
) -> dict[str, str]:
    if request.preserve_resource_ids:
        return {source_id: source_id for source_id in old}
    place = (kind, parties.organization_id, request.namespace_name)
    # One look-up for all of them; a second one only for an id that is taken.
    first = [derive(*place, source_id) for source_id in old]
    free = set(first) - catalog.taken_ids(connection, kind, first, parties.namespace_id)
    used = set(old)

    def taken(candidate: str) -> bool:
        if candidate in used:
            return True
        elsewhere = [] if candidate in free else [candidate]
        return bool(catalog.taken_ids(connection, kind, elsewhere, parties.namespace_id))

    new = {}
    for source_id in old:
        new[source_id], _ = derive_free(*place, source_id, taken)
        used.add(new[source_id])
    return new
