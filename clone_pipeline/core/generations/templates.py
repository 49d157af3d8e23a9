"""Templates: a namespace's configuration without records, kept to make namespaces from.

A template is a stored source: a row of `namespaces` with the role `template`, under the id of the
namespace that it was made from, and everything that hangs on it but objects and points. The job
clones it like any other source.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, literal, select

from .. import secrets
from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS, Document
from ..catalog.namespace import CLONE_STATE, COUNTS, Namespace, iso
from ..catalog.schema import namespaces, templates
from ..errors import Conflict, InProgress, NotFound
from ..kinds import KINDS
from ..ledger import clones as ledger
from ..principal import Principal, require_writer
from ..stores import Stores
from ..text import storable
from ..vectors.point import CollectionConfig
from .delete import lock

# Where and how a namespace is served is its own, not its template's.
_OWN = ("qdrant_url", "qdrant_api_key")


def create_template(
    stores: Stores, principal: Principal, identifier: str, values: dict[str, Any]
) -> Document:
    """Makes a template of a namespace as it is now; `values` are its name, description, category
    and tags. Raises Forbidden, NotFound, Conflict, StoreUnavailable."""
    require_writer(principal)
    with stores.catalog.read() as connection:
        source = catalog.find(connection, principal.organization_id, identifier)
        if source is None:
            raise NotFound(f"There is no namespace {identifier!r} to make a template of.")
    if not source.is_ready:
        raise Conflict(f"{source.name!r} is a clone that is not ready; wait for it first.")
    config = _read_config(stores, source)
    # Not for a test to foresee: ids of templates are not derived from anything.
    template_id = f"tmpl_{token_hex(6)}"
    now = stores.clock()
    with stores.catalog.write(snapshot=True) as connection:
        current = catalog.by_key(connection, source.key)
        key = _insert_source(connection, current, template_id, config)
        _copy_resources(connection, current.key, key)
        connection.execute(
            insert(templates).values(
                template_id=template_id,
                organization_id=source.organization_id,
                namespace_key=key,
                source_namespace_id=source.namespace_id,
                created_by=principal.key_id,
                created_at=now,
                **values,
            )
        )
        return read_template(connection, principal, template_id)


def _read_config(stores: Stores, source: Namespace) -> CollectionConfig:
    with stores.server(source.qdrant_url, source.qdrant_api_key) as server:
        if server is not None:
            return server.read_config(server.resolve(source.qdrant_collection))
    if source.qdrant_config is None:
        raise Conflict(
            f"The catalog does not hold the Qdrant configuration of {source.name!r}, and the "
            "embedded Qdrant forgets most of it."
        )
    return source.qdrant_config


def _insert_source(
    connection: Connection, source: Namespace, template_id: str, config: CollectionConfig
) -> int:
    leave_out = (*CLONE_STATE, *COUNTS)
    document = {key: value for key, value in source.document.items() if key not in leave_out}
    infrastructure = document.get("infrastructure") or {}
    kept = {key: value for key, value in infrastructure.items() if key not in _OWN}
    document["infrastructure"] = {**kept, "qdrant_collection": template_id}
    newest = select(func.max(namespaces.c.generation)).where(
        namespaces.c.namespace_id == source.namespace_id
    )
    inserted = connection.execute(
        insert(namespaces)
        .values(
            organization_id=source.organization_id,
            namespace_id=source.namespace_id,
            namespace_name=template_id,
            role="template",
            generation=connection.execute(newest).scalar_one() + 1,
            document=document,
            qdrant_config=config,
            created_at=source.created_at,
            updated_at=source.updated_at,
        )
        .returning(namespaces.c.namespace_key)
    )
    return int(inserted.scalar_one())


def _copy_resources(connection: Connection, source_key: int, key: int) -> None:
    for kind in KINDS:
        table = RECORDS[kind.name].table
        columns = [column for column in table.c if column.name != "namespace_key"]
        rows = select(literal(key), *columns).where(table.c.namespace_key == source_key)
        names = ["namespace_key", *(column.name for column in columns)]
        connection.execute(insert(table).from_select(names, rows))


def read_template(connection: Connection, principal: Principal, template_id: str) -> Document:
    """A template of the caller's organization. Raises NotFound."""
    missing = NotFound(
        f"There is no template {template_id!r}.", resource="template", id=template_id
    )
    if not storable(template_id):
        raise missing
    query = _of(principal).where(templates.c.template_id == template_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise missing
    return _shown(connection, row)


def delete_template(stores: Stores, principal: Principal, template_id: str) -> Document:
    """Removes a template with its configuration; what was made of it stays. Returns what it was.

    Raises Forbidden, NotFound, and InProgress while a namespace is being made of it.
    """
    require_writer(principal)
    with stores.catalog.write() as connection:
        found = read_template(connection, principal, template_id)
        mine = templates.c.template_id == template_id
        key = connection.execute(select(templates.c.namespace_key).where(mine)).scalar_one()
        lock(connection, namespaces.c.namespace_key == key)
        held = ledger.list_unfinished_held(connection, key, stores.clock())
        if held:
            raise InProgress(
                f"{held[0].namespace_name!r} is being made of the template {template_id!r}; wait "
                "for it, or cancel it first."
            )
        connection.execute(delete(templates).where(mine))
        # With all that hangs on it, by the foreign keys.
        connection.execute(delete(namespaces).where(namespaces.c.namespace_key == key))
        return found


def list_templates(connection: Connection, principal: Principal) -> list[Document]:
    """The templates of the caller's organization, newest first."""
    query = _of(principal).order_by(templates.c.created_at.desc(), templates.c.template_id)
    return [_shown(connection, row) for row in connection.execute(query).mappings().all()]


def _of(principal: Principal) -> Any:
    query = select(templates)
    if principal.organization_id is None:
        return query
    return query.where(templates.c.organization_id == principal.organization_id)


def _shown(connection: Connection, row: RowMapping) -> Document:
    source = catalog.by_key(connection, row["namespace_key"]).shown
    configuration: Document = secrets.without(source.document)
    for kind in KINDS:
        configuration[kind.plural] = [
            secrets.without(one) for one in catalog.read_listed(connection, source.key, kind.name)
        ]
    return {
        "template_id": row["template_id"],
        "template_type": "namespace",
        "scope": "organization",
        "internal_id": catalog.internal_id(connection, row["organization_id"]),
        "name": row["template_name"],
        "description": row["description"],
        "configuration": configuration,
        "mode": "config",
        "category": row["category"],
        "tags": row["tags"],
        "is_active": True,
        "is_public": False,
        "created_by": row["created_by"],
        "source_resource_id": row["source_namespace_id"],
        "created_at": iso(row["created_at"]),
    }
