"""Namespaces: find one by id or name, read one whole, show one as the platform's model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from ..errors import InvalidRequest, NotFound
from .documents import RECORDS, Document, assemble
from .schema import clones, namespaces, objects, organizations, taxonomies

# Fields of a namespace document that tell its clone state or count its records. They belong to
# one namespace at one time: a clone does not inherit them.
CLONE_STATE = (
    "clone_status",
    "clone_phase",
    "clone_error",
    "clone_task_id",
    "clone_dispatched_at",
    "source_namespace_id",
    "namespace_ready",
    "expires_at",
    "document_count_complete",
)
COUNTS = ("document_count", "bucket_count", "collection_count", "object_count")

_SECRETS = {
    "api_key",
    "api_token",
    "authorization",
    "password",
    "qdrant_api_key",
    "secret",
    "token",
    "webhook_secret",
}
_SHOWN_OF_CLONE = (
    "phase",
    "error",
    "run_id",
    "source_namespace_id",
    "response",
    "created_at",
    "reserved_at",
)
# A feature URI (mixpeek://extractor@v1/output) looks like one.
_LOGIN = re.compile(r"^((?!mixpeek:)\w+://)[^/@]*@")


@dataclass(frozen=True)
class Namespace:
    """One generation of a namespace, as its row says. `document` is without identity and name."""

    key: int
    organization_id: str
    namespace_id: str
    name: str
    role: str
    generation: int
    document: Document
    qdrant_url: str | None
    qdrant_config: dict[str, Any] | None
    clone_status: str | None
    clone_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    held_at: datetime | None

    @classmethod
    def of(cls, row: RowMapping) -> Namespace:
        names = {"namespace_key": "key", "namespace_name": "name"}
        return cls(**{names.get(key, key): value for key, value in row.items()})

    @property
    def raw(self) -> Document:
        """The whole raw document, identity included."""
        return {
            "namespace_id": self.namespace_id,
            "namespace_name": self.name,
            **self.document,
        }

    @property
    def qdrant_collection(self) -> str:
        infrastructure = self.document.get("infrastructure") or {}
        return str(infrastructure.get("qdrant_collection") or self.namespace_id)

    @property
    def qdrant_api_key(self) -> str | None:
        return (self.document.get("infrastructure") or {}).get("qdrant_api_key")

    @property
    def is_ready(self) -> bool:
        return self.clone_status in (None, "ready")


def find(
    connection: Connection, organization_id: str | None, identifier: str, role: str = "live"
) -> Namespace | None:
    """The namespace with that id, else that name; None for no organization looks in all of them.

    Raises InvalidRequest when a name stands in several organizations.
    """
    if not storable(identifier):
        return None
    query = _of(organization_id).where(namespaces.c.role == role)
    by_id = connection.execute(query.where(namespaces.c.namespace_id == identifier)).mappings()
    if row := by_id.first():
        return Namespace.of(row)
    by_name = connection.execute(query.where(namespaces.c.namespace_name == identifier))
    rows = by_name.mappings().all()
    if len(rows) > 1:
        owners = ", ".join(sorted(row["organization_id"] for row in rows))
        raise InvalidRequest(
            f"{identifier!r} is a namespace in several organizations ({owners}); "
            "use its id, or say which with source_organization_id."
        )
    return Namespace.of(rows[0]) if rows else None


def resolve(connection: Connection, organization_id: str | None, identifier: str) -> Namespace:
    """Like `find`. Raises NotFound when there is none that the caller may know of."""
    namespace = find(connection, organization_id, identifier)
    if namespace is None:
        raise NotFound(
            f"There is no namespace {identifier!r}; `clone-pipeline list` shows the ones there are."
        )
    return namespace


def by_key(connection: Connection, key: int) -> Namespace:
    row = connection.execute(select(namespaces).where(namespaces.c.namespace_key == key))
    return Namespace.of(row.mappings().one())


def list_all(connection: Connection, organization_id: str | None) -> list[Namespace]:
    """The live namespaces, by organization and name."""
    query = _of(organization_id).where(namespaces.c.role == "live")
    ordered = query.order_by(namespaces.c.organization_id, namespaces.c.namespace_name)
    return [Namespace.of(row) for row in connection.execute(ordered).mappings()]


def list_clones(connection: Connection, limit: int) -> list[RowMapping]:
    """The live clones that are ready, newest first: organization, name, id, the source's id, and
    policy and request, by which backups are known."""
    query = (
        select(
            namespaces.c.organization_id,
            namespaces.c.namespace_name,
            namespaces.c.namespace_id,
            clones.c.source_namespace_id,
            clones.c.policy,
            clones.c.request,
        )
        .join(clones, clones.c.clone_id == namespaces.c.clone_id)
        .where(namespaces.c.role == "live", namespaces.c.clone_status == "ready")
        .order_by(namespaces.c.updated_at.desc(), namespaces.c.namespace_key)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def generations(connection: Connection, organization_id: str, name: str) -> list[Namespace]:
    """Every generation that stands under a name, newest first."""
    query = _of(organization_id).where(namespaces.c.namespace_name == name)
    ordered = query.order_by(namespaces.c.generation.desc())
    return [Namespace.of(row) for row in connection.execute(ordered).mappings()]


def name_taken_by_id(connection: Connection, organization_id: str | None, name: str) -> bool:
    """Ids and names share one lookup, so a name must not be some namespace's id: one of that
    organization, or of any."""
    query = _of(organization_id).where(namespaces.c.namespace_id == name)
    return connection.execute(query).first() is not None


def has_organization(connection: Connection, organization_id: str) -> bool:
    query = select(organizations).where(organizations.c.organization_id == organization_id)
    return storable(organization_id) and connection.execute(query).first() is not None


def internal_id(connection: Connection, organization_id: str) -> str:
    """What payloads of that organization carry as `_internal.internal_id`."""
    query = select(organizations.c.internal_id).where(
        organizations.c.organization_id == organization_id
    )
    return str(connection.execute(query).scalar_one())


def read_records(connection: Connection, key: int, kind: str) -> Iterator[RowMapping]:
    """The rows of a small resource type, in a stable order."""
    record = RECORDS[kind]
    order = [record.table.c[record.id_field]]
    if kind == "taxonomy":
        order.append(taxonomies.c.version)
    query = select(record.table).where(record.table.c.namespace_key == key).order_by(*order)
    yield from connection.execute(query).mappings()


def read_documents(connection: Connection, key: int, kind: str) -> Iterator[Document]:
    for row in read_records(connection, key, kind):
        yield assemble(row, RECORDS[kind].columns)


def count_records(connection: Connection, key: int, kind: str) -> int:
    """How many there are; versions of one taxonomy count once."""
    record = RECORDS[kind]
    column = record.table.c[record.id_field]
    query = select(func.count(column.distinct())).where(record.table.c.namespace_key == key)
    return int(connection.execute(query).scalar_one())


def model(connection: Connection, namespace: Namespace) -> Document:
    """The namespace as a `NamespaceModel`: its document, live counts, clone state; no secrets."""
    document = namespace.raw
    document["infrastructure"] = without_secrets(document.get("infrastructure"))
    document |= {
        "bucket_count": count_records(connection, namespace.key, "bucket"),
        "collection_count": count_records(connection, namespace.key, "collection"),
        "object_count": _count_objects(connection, namespace.key),
    }
    document.setdefault("namespace_ready", namespace.is_ready)
    if namespace.clone_status is not None:
        document |= _clone_state(connection, namespace)
    return document


def _clone_state(connection: Connection, namespace: Namespace) -> Document:
    # The plan may be large, and is not needed here.
    columns = [clones.c[name] for name in _SHOWN_OF_CLONE]
    query = select(*columns).where(clones.c.clone_id == namespace.clone_id)
    clone = connection.execute(query).mappings().first()
    state = {
        "clone_status": namespace.clone_status,
        "clone_phase": None,
        "clone_error": None,
        "clone_task_id": None,
        "clone_dispatched_at": None,
        "source_namespace_id": None,
        "namespace_ready": namespace.is_ready,
        "expires_at": iso(namespace.expires_at),
        "created_at": iso(namespace.created_at),
        "updated_at": iso(namespace.updated_at),
    }
    if clone is None:
        return state
    waiting = clone["phase"] == "queued"
    if clone["response"] is not None:
        state["document_count"] = clone["response"]["cloned_resources"]["points"]
    return state | {
        "clone_phase": ("queued" if waiting else "copying")
        if namespace.clone_status == "cloning"
        else None,
        "clone_error": clone["error"] if namespace.clone_status == "failed" else None,
        "clone_task_id": clone["run_id"],
        "clone_dispatched_at": iso(clone["reserved_at"] or clone["created_at"]),
        "source_namespace_id": clone["source_namespace_id"],
    }


def without_secrets(value: Any) -> Any:
    """Keys and tokens left out, at any depth, unless they are templates; URLs without who logs
    in."""
    if isinstance(value, dict):
        return {
            key: without_secrets(inner)
            for key, inner in value.items()
            if not _is_secret(key, inner)
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return _LOGIN.sub(r"\1", value) if isinstance(value, str) else value


def _is_secret(key: str, value: Any) -> bool:
    # What is no text is no secret: a schema may have a property of that name.
    return isinstance(value, str) and key.lower() in _SECRETS and "{{" not in value


def storable(text: str) -> bool:
    """Whether a database can hold the text at all; what it cannot hold is not there."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _of(organization_id: str | None) -> Select[Any]:
    query = select(namespaces)
    if organization_id is None:
        return query
    return query.where(namespaces.c.organization_id == organization_id)


def _count_objects(connection: Connection, key: int) -> int:
    query = select(func.count()).select_from(objects).where(objects.c.namespace_key == key)
    return int(connection.execute(query).scalar_one())


def taken_ids(connection: Connection, kind: str, ids: list[str], not_under: str | None) -> set[str]:
    """Which of `ids` some namespace other than `not_under` (a namespace id) uses for that kind."""
    record = RECORDS[kind]
    column = record.table.c[record.id_field]
    query = (
        select(column)
        .join(namespaces, namespaces.c.namespace_key == record.table.c.namespace_key)
        .where(column.in_(ids))
    )
    if not_under is not None:
        query = query.where(namespaces.c.namespace_id != not_under)
    return set(connection.execute(query).scalars())
