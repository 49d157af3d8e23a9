"""Who clones what to where: the request's names resolved, and what the caller may do checked."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..errors import Conflict, InvalidRequest, NameTaken, NotFound
from ..generations.publish import check_origin
from ..principal import Principal
from ..request import CloneRequest
from ..words import Hint, Option
from .decision import UnderName, Wanted, decide
from .parties import Parties
from .restore import check_restorable


def resolve_parties(connection: Connection, request: CloneRequest, principal: Principal) -> Parties:
    """To look is enough for this: a plan writes nothing.

    Raises NotFound, InvalidRequest or Conflict, each with one sentence.
    """
    source = resolve_source(
        connection, request.namespace_identifier, request.source_organization_id, principal
    )
    organization_id = _target_organization(connection, request, principal, source)
    _check_name(connection, request, principal, source, organization_id)
    if request.restore:
        check_restorable(connection, request, source, organization_id)
    parties = _resolve_target(connection, request, source, organization_id)
    # Aliases belong to no organization.
    return replace(parties, may_take_alias=request.adopt and principal.role == "admin")


def _resolve_target(
    connection: Connection, request: CloneRequest, source: Namespace, organization_id: str
) -> Parties:
    live = catalog.find_named(connection, organization_id, request.namespace_name)
    if live is not None and not live.is_ready:
        return Parties(source, organization_id, None, live.namespace_id, live)
    if live is None:
        return Parties(source, organization_id, None, None, None)
    if decide(UnderName(live=True), Wanted(request.if_exists == "replace")) == "taken":
        raise NameTaken(
            f"A namespace named {request.namespace_name!r} exists; choose another name, or "
            "replace it with ",
            Option("if_exists", "replace"),
            ".",
        )
    adopts = _check_replaceable(connection, request, source, live)
    unfinished = catalog.find_named(
        connection, organization_id, request.namespace_name, role="next"
    )
    return Parties(source, organization_id, live, live.namespace_id, unfinished, adopts)


def resolve_source(
    connection: Connection,
    identifier: str,
    source_organization_id: str | None,
    principal: Principal,
) -> Namespace:
    """What is to be cloned, or kept: by id or name, in its organization or (None) in that of
    whoever asks. Raises NotFound, Conflict where it is not ready."""
    organization_id = source_organization_id or principal.organization_id
    missing = NotFound(
        f"There is no namespace {identifier!r} to clone",
        Hint("; `clone-pipeline list` shows the ones there are"),
        ".",
    )
    if not principal.may_read(organization_id):
        raise missing
    source = catalog.find_source(connection, organization_id, identifier)
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
            Option("namespace_name"),
            " must not begin or end with a space or hold control characters.",
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
    if not request.restore and catalog.name_is_lost_id(connection, looked_up_in, name):
        raise Conflict(
            f"{name!r} is the id of a namespace that was cloned; it cannot be the name of another."
        )
    if catalog.find_template(connection, looked_up_in, name) is not None:
        raise Conflict(
            f"{name!r} is the id of a template, so it cannot be the name of a namespace."
        )


def _check_replaceable(
    connection: Connection, request: CloneRequest, source: Namespace, live: Namespace
) -> bool:
    """Whether it is somebody else's. Raises InvalidRequest, Conflict."""
    if live.key == source.key:
        raise InvalidRequest("A namespace cannot be replaced by its own clone; name another.")
    return check_origin(connection, live, source.namespace_id, request.adopt)
