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
from ..source import Snapshots
from ..words import Hint, Option
from .decision import UnderName, Wanted, decide
from .parties import Parties
from .restore import check_restorable


def resolve_parties(snapshots: Snapshots, request: CloneRequest, principal: Principal) -> Parties:
    """To look is enough for this: a plan writes nothing.

    Raises NotFound, InvalidRequest or Conflict, each with one sentence.
    """
    connection = snapshots.own
    source = resolve_source(
        snapshots.source,
        request.namespace_identifier,
        request.source_organization_id,
        principal,
        snapshots.reader,
    )
    organization_id = _target_organization(connection, request, principal, source)
    beside = None if snapshots.elsewhere else source
    _check_name(connection, request, principal, beside, organization_id)
    if request.restore:
        check_restorable(snapshots.source, request, source, organization_id)
    parties = _resolve_target(connection, request, source, organization_id, beside)
    # Aliases belong to no organization.
    may_take = request.adopt and principal.role == "admin"
    return replace(parties, may_take_alias=may_take, elsewhere=snapshots.elsewhere)


def _resolve_target(
    connection: Connection,
    request: CloneRequest,
    source: Namespace,
    organization_id: str,
    beside: Namespace | None,
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
    if beside is not None and live.key == beside.key:
        raise InvalidRequest("A namespace cannot be replaced by its own clone; name another.")
    adopts = check_origin(connection, live, source.namespace_id, request.adopt)
    unfinished = catalog.find_named(
        connection, organization_id, request.namespace_name, role="next"
    )
    return Parties(source, organization_id, live, live.namespace_id, unfinished, adopts)


def resolve_source(
    connection: Connection,
    identifier: str,
    source_organization_id: str | None,
    principal: Principal,
    reader: Principal | None = None,
) -> Namespace:
    """What is to be cloned, or kept: by id or name, in its organization or (None) in that of
    whoever asks. In another environment `reader` must be allowed to see it, too. Raises NotFound,
    Conflict where it is not ready."""
    organization_id = source_organization_id or principal.organization_id
    if organization_id is None and reader is not None:
        organization_id = reader.organization_id
    missing = NotFound(
        f"There is no namespace {identifier!r} to clone",
        Hint("; `clone-pipeline list` shows the ones there are"),
        ".",
    )
    if not all(who.may_read(organization_id) for who in (principal, reader) if who is not None):
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
    missing = f"There is no organization {wanted!r} for the clone to land in"
    if not principal.may_read(wanted):
        raise NotFound(f"{missing}.")
    if not catalog.has_organization(connection, wanted):
        how = f"; `clone-pipeline keys create --organization {wanted} --role admin` makes it"
        raise NotFound(missing, Hint(how if principal.role == "admin" else ""), ".")
    return wanted


def _check_name(
    connection: Connection,
    request: CloneRequest,
    principal: Principal,
    beside: Namespace | None,
    organization_id: str,
) -> None:
    """`beside` is the source, where it stands in the same catalog."""
    name = request.namespace_name
    if name != name.strip() or not name.isprintable():
        raise InvalidRequest(
            Option("namespace_name"),
            " must not begin or end with a space or hold control characters.",
        )
    if beside is not None and organization_id == beside.organization_id:
        if name in (beside.name, beside.namespace_id):
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
