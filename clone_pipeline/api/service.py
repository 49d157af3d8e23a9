"""What the routes work with, and what they need to know of a request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from sqlalchemy import Connection

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.errors import InvalidRequest, NotFound
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.stores import Stores


@dataclass(frozen=True)
class Service:
    """The stores of this deployment, its Dagster, and its policies file, where it has one."""

    stores: Stores
    runs: Runs
    policies: Path | None = None


# The guard has looked at it already: this is for the OpenAPI document.
bearer = HTTPBearer(auto_error=False, description="An API key: `clone-pipeline keys create`.")
_namespace_header = APIKeyHeader(
    name="X-Namespace",
    scheme_name="NamespaceHeader",
    auto_error=False,
    description="The namespace, by id or name.",
)


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


Services = Annotated[Service, Depends(_service)]
Caller = Annotated[Principal, Depends(_principal)]
NamespaceHeader = Annotated[str | None, Depends(_namespace_header)]


def find_namespace(connection: Connection, caller: Principal, identifier: str) -> Namespace:
    """A namespace of the caller's organization, by id or name; by id also a clone that an admin of
    it has made in another one. Raises NotFound."""
    found = catalog.find(connection, caller.organization_id, identifier)
    if found is None and caller.role == "admin":
        found = _made_elsewhere(connection, caller, identifier)
    if found is None:
        raise NotFound(
            f"There is no namespace {identifier!r}.", resource="namespace", id=identifier
        )
    return found


def _made_elsewhere(
    connection: Connection, caller: Principal, namespace_id: str
) -> Namespace | None:
    found = catalog.find_by_id(connection, None, namespace_id)
    if found is None or found.clone_id is None:
        return None
    asked_by = ledger.get(connection, found.clone_id).principal["organization_id"]
    return found if asked_by == caller.organization_id else None


def header_namespace(
    connection: Connection, caller: Principal, identifier: str | None
) -> Namespace:
    """The namespace that the header X-Namespace names. Raises NotFound, InvalidRequest."""
    if not identifier:
        raise InvalidRequest("The header `X-Namespace` is needed: a namespace's id or name.")
    return find_namespace(connection, caller, identifier)
