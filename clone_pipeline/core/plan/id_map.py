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
from ..source import Snapshots
from .parties import Parties
from .restore import BackedUp, restored_from


def allocate(
    snapshots: Snapshots, request: CloneRequest, source: Namespace, parties: Parties
) -> IdMap:
    connection = snapshots.own
    backed_up = restored_from(snapshots.source, source) if request.restore else None
    under = (parties.organization_id, request.namespace_name)
    ids: dict[str, dict[str, str]] = {}
    names: dict[str, set[str]] = {}
    left_out: dict[str, set[str]] = {}
    for kind in KINDS:
        rows = list(catalog.read_records(snapshots.source, source.key, kind.name))
        record = RECORDS[kind.name]
        old = list(dict.fromkeys(row[record.id_field] for row in rows))
        called = {row[str(record.name_field)] for row in rows}
        if request.includes(kind):
            ids[kind.name] = (
                {source_id: source_id for source_id in old}
                if request.preserve_resource_ids
                else new_ids(connection, kind.name, old, under, parties.namespace_id)
            )
            names[kind.name] = called
        else:
            left_out[kind.name] = called | set(old)
    lands_in = catalog.internal_id(connection, parties.organization_id)
    # What is restored where it was backed up is at home again.
    at_home = backed_up is not None and backed_up.internal_id == lands_in
    abroad = snapshots.elsewhere and not at_home
    return IdMap(
        namespace=(
            source.namespace_id,
            parties.namespace_id or _namespace_id(connection, request, source, parties, backed_up),
        ),
        organization=(catalog.internal_id(snapshots.source, source.organization_id), lands_in),
        ids=ids,
        names=names,
        left_out=left_out,
        restored_from=None if backed_up is None else backed_up.namespace_id,
        foreign_payloads=source.has_foreign_payloads,
        other_environment=abroad,
        counterparts=snapshots.counterparts if abroad else {},
    )


def _namespace_id(
    connection: Connection,
    request: CloneRequest,
    source: Namespace,
    parties: Parties,
    backed_up: BackedUp | None,
) -> str:
    """Derived; but a namespace that was lost comes back, under its name, with its id too."""
    organization, name = parties.organization_id, request.namespace_name
    if backed_up is not None and backed_up.name == name:
        if not catalog.id_taken(connection, organization, backed_up.namespace_id):
            return backed_up.namespace_id
    return new_namespace_id(connection, source.namespace_id, (organization, name))


def new_namespace_id(connection: Connection, source_id: str, under: tuple[str, str]) -> str:
    """The derived id of a namespace that is made of `source_id`; `under` as for `new_ids`."""
    organization, name = under

    def taken(candidate: str) -> bool:
        return catalog.id_taken(connection, organization, candidate)

    return derive_free("namespace", organization, name, source_id, taken)[0]


def new_ids(
    connection: Connection,
    kind: str,
    old: list[str],
    under: tuple[str, str],
    namespace_id: str | None = None,
) -> dict[str, str]:
    """The derived ids of resources of one kind, by their old ones; `under` has the organization and
    the name of the new namespace. What has them already is no obstacle below `namespace_id`."""
    place = (kind, *under)
    # One look-up for all of them; a second one only for an id that is taken.
    first = [derive(*place, source_id) for source_id in old]
    free = set(first) - catalog.taken_ids(connection, kind, first, namespace_id)
    used = set(old)

    def taken(candidate: str) -> bool:
        if candidate in used:
            return True
        elsewhere = [] if candidate in free else [candidate]
        return bool(catalog.taken_ids(connection, kind, elsewhere, namespace_id))

    new = {}
    for source_id in old:
        new[source_id], _ = derive_free(*place, source_id, taken)
        used.add(new[source_id])
    return new
