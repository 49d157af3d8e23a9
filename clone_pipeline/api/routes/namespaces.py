"""Namespaces: get, list, delete."""

from __future__ import annotations

from fastapi import APIRouter

from clone_pipeline.api.errors import Json, documented
from clone_pipeline.api.listing import ListRequest, Selection, Windowed
from clone_pipeline.api.models import DeleteResponse, ListNamespacesResponse, NamespaceModel
from clone_pipeline.api.service import Caller, Services, find_namespace
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import iso
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.ledger.state import namespace_state
from clone_pipeline.core.principal import require_writer
from clone_pipeline.core.secrets.masked import masked

router = APIRouter(tags=["Namespaces"])

_SEARCHED = ("namespace_id", "namespace_name", "description")


@router.get(
    "/v1/namespaces",
    operation_id="get_namespaces",
    response_model=ListNamespacesResponse,
    responses=documented(),
)
@router.post(
    "/v1/namespaces/list",
    operation_id="list_namespaces",
    response_model=ListNamespacesResponse,
    responses=documented(),
)
def list_namespaces(
    window: Windowed, service: Services, caller: Caller, body: ListRequest | None = None
) -> Json:
    """A page of the organization's namespaces that match."""
    window, wanted = window.within(body), Selection(body, _SEARCHED)
    with service.stores.catalog.read() as connection:
        everything = catalog.list_all(connection, caller.organization_id)
        by_id = {one.namespace_id: one for one in everything}
        rows = [
            masked(one.raw)
            | {
                "clone_status": one.clone_status,
                "created_at": iso(one.created_at),
                "updated_at": iso(one.updated_at),
            }
            for one in everything
        ]
        found = wanted.of(rows)
        part = found[window.offset : window.offset + window.limit]
        results = [namespace_state(connection, by_id[row["namespace_id"]]) for row in part]
    return Json(
        {
            "results": results,
            "pagination": window.of(len(found)).model_dump(),
            "total_count": len(found),
        }
    )


@router.get(
    "/v1/namespaces/{namespace_identifier}",
    operation_id="get_namespace",
    response_model=NamespaceModel,
    responses=documented(),
)
def get_namespace(namespace_identifier: str, service: Services, caller: Caller) -> Json:
    """A namespace by id or name, with its clone state. Poll this while it is cloned."""
    with service.stores.catalog.read() as connection:
        found = find_namespace(connection, caller, namespace_identifier)
        return Json(namespace_state(connection, found))


@router.delete(
    "/v1/namespaces/{namespace_identifier}",
    operation_id="delete_namespace",
    response_model=DeleteResponse,
    responses=documented(403, 409),
)
def delete_namespace(
    namespace_identifier: str, service: Services, caller: Caller, last_backup: bool = False
) -> Json:
    """Remove a clone with all its generations; of S3 files only what was copied for it. What is no
    clone is refused, and the last proven backup of a policy unless `last_backup` is true."""
    require_writer(caller)
    with service.stores.catalog.read() as connection:
        found = find_namespace(connection, caller, namespace_identifier)
    admitted = Admitted(last_backup=last_backup)
    gone = delete_clone(service.stores, found.organization_id, found.namespace_id, admitted)
    how_many = "1 generation" if len(gone) == 1 else f"{len(gone)} generations"
    message = f"{found.name} is deleted: {how_many}."
    if not gone:
        message = f"What was left of the replacement of {found.name} is gone; it stays itself."
    return Json({"success": True, "message": message})
