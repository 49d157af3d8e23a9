"""Who clones what to where: the request's names resolved, and what the caller may do checked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from .catalog import namespaces as catalog
from .catalog.namespaces import Namespace
from .catalog.schema import clones
from .errors import Conflict, Forbidden, InvalidRequest, NameTaken, NotFound
from .principal import Principal
from .reinstate import check_restorable
from .request import CloneRequest


@dataclass(frozen=True)
class Parties:
    """`namespace_id` is set where the clone takes over an id that exists (`if_exists: replace`)."""

    source: Namespace
    organization_id: str
    replaces: Namespace | None
    namespace_id: str | None
    # A clone of that name that has not been published: it is resumed, or it is in the way.
    unfinished: Namespace | None


def require_writer(principal: Principal) -> None:
    """Raises Forbidden."""
    if not principal.may_write():
        raise Forbidden(f"A key with role {principal.role!r} may look, but not change anything.")


def resolve_parties(connection: Connection, request: CloneRequest, principal: Principal) -> Parties:
    """To look is enough for this: a plan writes nothing.

    Raises NotFound, InvalidRequest or Conflict, each with one sentence.
    """
    source = _resolve_source(connection, request, principal)
    organization_id = _target_organization(connection, request, principal, source)
    _check_name(connection, request, principal, source, organization_id)
    if request.restore:
        check_restorable(connection, request, source, organization_id)
    live = catalog.find(connection, organization_id, request.namespace_name)
    if live is not None and not live.is_ready:
        return Parties(source, organization_id, None, live.namespace_id, live)
    if live is None:
        return Parties(source, organization_id, None, None, None)
    if request.if_exists == "fail":
        raise NameTaken(
            f"A namespace named {request.namespace_name!r} exists; choose another name, or "
            "replace it with if_exists: replace."
        )
    _check_replaceable(connection, request, source, live)
    unfinished = catalog.find(connection, organization_id, request.namespace_name, role="next")
    return Parties(source, organization_id, live, live.namespace_id, unfinished)


def _resolve_source(
    connection: Connection, request: CloneRequest, principal: Principal
) -> Namespace:
    organization_id = request.source_organization_id or principal.organization_id
    missing = NotFound(
        f"There is no namespace {request.namespace_identifier!r} to clone; "
        "`clone-pipeline list` shows the ones there are."
    )
    if not principal.may_read(organization_id):
        raise missing
    identifier = request.namespace_identifier
    source = catalog.find(connection, organization_id, identifier) or catalog.find(
        connection, organization_id, identifier, role="template"
    )
    if source is None:
        raise missing
    if not source.is_ready:
        raise Conflict(
            f"The source {source.name!r} is a clone that is not ready "
            f"(clone_status: {source.clone_status}); finish or discard it first."
        )
    return source


def _target_organization(
    connection: Connection, request: CloneRequest, principal: Principal, source: Namespace
) -> str:
    wanted = request.organization_id or principal.organization_id or source.organization_id
    if not principal.may_read(wanted) or not catalog.has_organization(connection, wanted):
        raise NotFound(f"There is no organization {wanted!r} for the clone to land in.")
    return wanted


def _check_name(
    connection: Connection,
    request: CloneRequest,
    principal: Principal,
    source: Namespace,
    organization_id: str,
) -> None:
    name = request.namespace_name
    if name != name.strip() or not name.isprintable():
        raise InvalidRequest(
            "`namespace_name` must not begin or end with a space or hold control characters."
        )
    same_organization = organization_id == source.organization_id
    if same_organization and name in (source.name, source.namespace_id):
        raise InvalidRequest(
            f"Source and target are the same namespace, {name!r}; give the clone another name."
        )
    # Whoever sees all organizations looks a name up in all of them.
    looked_up_in = organization_id if principal.organization_id is not None else None
    if catalog.name_taken_by_id(connection, looked_up_in, name):
        raise Conflict(f"{name!r} is the id of a namespace, so it cannot be the name of another.")


def _check_replaceable(
    connection: Connection, request: CloneRequest, source: Namespace, live: Namespace
) -> None:
    if live.key == source.key:
        raise InvalidRequest("A namespace cannot be replaced by its own clone; name another.")
    query = select(clones.c.source_namespace_id).where(clones.c.clone_id == live.clone_id)
    origin = connection.execute(query).scalar()
    if origin != source.namespace_id and not request.adopt:
        what = "was not made by clone-pipeline" if origin is None else f"is a clone of {origin}"
        raise Conflict(
            f"{live.name!r} {what}, not a clone of {source.namespace_id}; to replace it all the "
            "same, set adopt: true."
        )
