"""Namespaces: find one by id or name, list them, and read what one holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, select

from .. import secrets
from ..errors import InvalidRequest, NotFound, UnreadableRecord
from ..text import storable
from ..words import Hint, Option
from .documents import RECORDS, Document, assemble
from .namespace import UNREADABLE, Namespace
from .schema import clones, namespaces, organizations, templates


def find_template(
    connection: Connection, organization_id: str | None, template_id: str
) -> Namespace | None:
    """The stored source of the template with that id. It is no namespace: it has the id of the one
    that it was made from, and only a template's id finds it."""
    if not storable(template_id):
        return None
    of_template = select(templates.c.namespace_key).where(templates.c.template_id == template_id)
    query = _of(organization_id).where(namespaces.c.namespace_key.in_(of_template))
    row = connection.execute(query).mappings().first()
    return None if row is None else Namespace.of(row)


def id_taken(connection: Connection, organization_id: str, candidate: str) -> bool:
    """Whether a new namespace of that organization must have another id: one has it already,
    anywhere, or is called so where it would be looked up."""
    ids = select(namespaces.c.namespace_id).where(
        namespaces.c.namespace_id == candidate, namespaces.c.role != "template"
    )
    named = select(namespaces.c.namespace_id).where(
        namespaces.c.organization_id == organization_id, namespaces.c.namespace_name == candidate
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in (ids, named))


def find_by_id(
    connection: Connection, organization_id: str | None, namespace_id: str
) -> Namespace | None:
    """The live namespace with that id, whatever else is called so."""
    if not storable(namespace_id):
        return None
    query = _of(organization_id).where(
        namespaces.c.role == "live", namespaces.c.namespace_id == namespace_id
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Namespace.of(row)


def find_named(
    connection: Connection, organization_id: str, name: str, role: str = "live"
) -> Namespace | None:
    """The namespace of that name in an organization, whatever else has it for an id."""
    if not storable(name):
        return None
    query = _of(organization_id).where(
        namespaces.c.role == role, namespaces.c.namespace_name == name
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Namespace.of(row)


def find(connection: Connection, organization_id: str | None, identifier: str) -> Namespace | None:
    """What somebody calls so: the live namespace with that id, else that name; None for no
    organization looks in all of them.

    Raises InvalidRequest when a name stands in several organizations.
    """
    if not storable(identifier) or not storable(organization_id or ""):
        return None
    found = find_by_id(connection, organization_id, identifier)
    if found is not None:
        return found
    query = _of(organization_id).where(namespaces.c.role == "live")
    by_name = connection.execute(query.where(namespaces.c.namespace_name == identifier))
    rows = by_name.mappings().all()
    if len(rows) > 1:
        owners = ", ".join(sorted(row["organization_id"] for row in rows))
        raise InvalidRequest(
            f"{identifier!r} is a namespace in several organizations ({owners}); "
            "use its id, or say which with ",
            Option("source_organization_id"),
            ".",
        )
    return Namespace.of(rows[0]) if rows else None


def find_source(
    connection: Connection, organization_id: str | None, identifier: str
) -> Namespace | None:
    """What can be cloned: a template by its own id, else what `find` finds.

    The id of the namespace that a template was made from does not lead to the template: else one
    that is gone would be cloned all the same, empty. Raises InvalidRequest as `find`.
    """
    template = find_template(connection, organization_id, identifier)
    return template or find(connection, organization_id, identifier)


def resolve(connection: Connection, organization_id: str | None, identifier: str) -> Namespace:
    """Like `find`. Raises NotFound when there is none that the caller may know of."""
    namespace = find(connection, organization_id, identifier)
    if namespace is None:
        raise NotFound(
            f"There is no namespace {identifier!r}",
            Hint("; `clone-pipeline list` shows the ones there are"),
            ".",
        )
    return namespace


def by_key(connection: Connection, key: int) -> Namespace:
    row = connection.execute(select(namespaces).where(namespaces.c.namespace_key == key))
    return Namespace.of(row.mappings().one())


def list_all(connection: Connection, organization_id: str | None) -> list[Namespace]:
    """The live namespaces, by organization and name, to be shown: of one that cannot be read only
    what its row says, and under `UNREADABLE` why."""
    query = _of(organization_id).where(namespaces.c.role == "live")
    ordered = query.order_by(namespaces.c.organization_id, namespaces.c.namespace_name)
    return [Namespace.of(row).shown for row in connection.execute(ordered).mappings()]


def list_clones(connection: Connection, limit: int) -> list[RowMapping]:
    """The live clones that are ready, newest first: organization, name, id, the source's id, and
    policy and its purpose. Of the source, if it is there, the same."""
    source, its_clone = namespaces.alias("source"), clones.alias("its_clone")
    # Of those alone the ledger is read, whose rows are long.
    newest = (
        select(namespaces.c.namespace_key)
        .where(
            namespaces.c.role == "live",
            namespaces.c.clone_status == "ready",
            namespaces.c.clone_id.is_not(None),
        )
        .order_by(namespaces.c.updated_at.desc(), namespaces.c.namespace_key)
        .limit(limit)
    )
    query = (
        select(
            namespaces.c.organization_id,
            namespaces.c.namespace_name,
            namespaces.c.namespace_id,
            clones.c.source_namespace_id,
            clones.c.policy,
            clones.c.purpose,
            source.c.organization_id.label("source_organization_id"),
            source.c.namespace_name.label("source_name"),
            its_clone.c.policy.label("source_policy"),
            its_clone.c.purpose.label("source_purpose"),
            its_clone.c.clone_id.label("source_clone_id"),
        )
        .join(clones, clones.c.clone_id == namespaces.c.clone_id)
        .outerjoin(
            source,
            and_(
                source.c.namespace_id == clones.c.source_namespace_id,
                source.c.role == "live",
                clones.c.source_environment.is_(None),
            ),
        )
        .outerjoin(its_clone, its_clone.c.clone_id == source.c.clone_id)
        .where(namespaces.c.namespace_key.in_(newest))
        .order_by(namespaces.c.updated_at.desc(), namespaces.c.namespace_key)
    )
    return list(connection.execute(query).mappings())


def list_deleted_clones(connection: Connection, limit: int) -> list[RowMapping]:
    """The clones that were published and are gone, the last one to go first."""
    columns = ("organization_id", "namespace_name", "source_namespace_id", "policy", "purpose")
    query = (
        select(*(clones.c[name] for name in columns), clones.c.updated_at)
        .where(clones.c.status == "discarded", clones.c.phase == "published")
        .order_by(clones.c.updated_at.desc(), clones.c.clone_id)
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
    query = _of(organization_id).where(
        namespaces.c.namespace_id == name, namespaces.c.role != "template"
    )
    return connection.execute(query.limit(1)).first() is not None


def name_is_lost_id(connection: Connection, organization_id: str | None, name: str) -> bool:
    """Whether something was cloned from a namespace with that id: should it be lost, it may come
    back with it."""
    lost = select(clones.c.source_namespace_id).where(clones.c.source_namespace_id == name)
    if organization_id is not None:
        lost = lost.where(clones.c.organization_id == organization_id)
    return connection.execute(lost.limit(1)).first() is not None


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
    if record.versioned:
        order.append(record.table.c.version)
    query = select(record.table).where(record.table.c.namespace_key == key).order_by(*order)
    yield from connection.execute(query).mappings()


def read_documents(connection: Connection, key: int, kind: str) -> Iterator[Document]:
    for row in read_records(connection, key, kind):
        yield assemble(row, RECORDS[kind])


def read_listed(connection: Connection, key: int, kind: str) -> Iterator[Document]:
    """As `read_documents`, for a list: of what cannot be read, identity and name, and under
    `UNREADABLE` why."""
    record = RECORDS[kind]
    for row in read_records(connection, key, kind):
        try:
            yield assemble(row, record)
        except UnreadableRecord as error:
            identity = {column: row[column] for column in record.columns}
            yield identity | {UNREADABLE: error.details["reason"]}


def count_secrets(connection: Connection, namespace: Namespace) -> int:
    """How many secrets stand in its configuration; objects are data."""
    documents = (
        document
        for kind in RECORDS
        if kind != "object"
        for document in read_documents(connection, namespace.key, kind)
    )
    stored = (namespace.qdrant_config or {}).get("metadata")
    return sum(len(secrets.places(document)) for document in (namespace.raw, stored, *documents))


def count_records(connection: Connection, key: int, kind: str) -> int:
    """How many there are; versions of one taxonomy count once."""
    record = RECORDS[kind]
    column = record.table.c[record.id_field]
    query = select(func.count(column.distinct())).where(record.table.c.namespace_key == key)
    return int(connection.execute(query).scalar_one())


def _of(organization_id: str | None) -> Select[Any]:
    query = select(namespaces)
    if organization_id is None:
        return query
    return query.where(namespaces.c.organization_id == organization_id)


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
