"""Templates: a namespace's configuration, kept, and made into namespaces."""

from __future__ import annotations

from fastapi import APIRouter

from clone_pipeline.api.errors import Json, documented
from clone_pipeline.api.idempotency import IdempotencyKey, once
from clone_pipeline.api.models import (
    CreateTemplateRequest,
    CreateTemplateResponse,
    DeleteResponse,
    InstantiateRequest,
    InstantiateResponse,
    TemplateModel,
)
from clone_pipeline.api.routes.clones import start
from clone_pipeline.api.service import Caller, Services
from clone_pipeline.core.generations.templates import (
    create_template,
    delete_template,
    list_templates,
    read_template,
)
from clone_pipeline.core.request import IncludeResources, parse_request

router = APIRouter(tags=["Namespace templates"])


@router.post(
    "/v1/templates/namespaces/from-namespace/{namespace_id}",
    operation_id="create_namespace_template_from",
    response_model=CreateTemplateResponse,
    responses=documented(403, 409),
)
def create(
    namespace_id: str, body: CreateTemplateRequest, service: Services, caller: Caller
) -> Json:
    """Keep the configuration of a namespace, by id or name, as it is now."""
    values = {
        "template_name": body.template_name,
        "description": body.description or f"Configuration of {namespace_id}",
        "category": body.category,
        "tags": body.tags,
    }
    made = create_template(service.stores, caller, namespace_id, values)
    shown = ("template_id", "template_type", "scope", "source_resource_id", "created_at")
    return Json({**{key: made[key] for key in shown}, "template_name": made["name"]})


@router.get(
    "/v1/templates/namespaces",
    operation_id="list_namespace_templates",
    response_model=list[TemplateModel],
    responses=documented(),
)
def get_all(service: Services, caller: Caller) -> Json:
    """The organization's templates, newest first."""
    with service.stores.catalog.read() as connection:
        return Json(list_templates(connection, caller))


@router.get(
    "/v1/templates/namespaces/{template_id}",
    operation_id="get_namespace_template",
    response_model=TemplateModel,
    responses=documented(),
)
def get_one(template_id: str, service: Services, caller: Caller) -> Json:
    """A template with its configuration."""
    with service.stores.catalog.read() as connection:
        return Json(read_template(connection, caller, template_id))


@router.delete(
    "/v1/templates/namespaces/{template_id}",
    operation_id="delete_namespace_template",
    response_model=DeleteResponse,
    responses=documented(403, 409),
)
def delete_one(template_id: str, service: Services, caller: Caller) -> Json:
    """Delete a template. Namespaces that were made of it stay."""
    gone = delete_template(service.stores, caller, template_id)
    return Json({"success": True, "message": f"The template {gone['name']!r} is deleted."})


@router.post(
    "/v1/templates/namespaces/{template_id}/instantiate",
    operation_id="instantiate_namespace_template",
    response_model=InstantiateResponse,
    status_code=201,
    responses=documented(403, 409),
)
def instantiate(
    template_id: str,
    body: InstantiateRequest,
    service: Services,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Json:
    """Make a namespace with the template's configuration, without records. Answers at once."""
    with service.stores.catalog.read() as connection:
        read_template(connection, caller, template_id)
    request = parse_request(
        {
            "namespace_identifier": template_id,
            "namespace_name": body.namespace_name,
            "description": body.description,
            "include_resources": dict.fromkeys(IncludeResources.model_fields, True),
        }
    )
    given = ["instantiate", request.model_dump()]
    answer = once(
        service.stores,
        caller,
        idempotency_key,
        given,
        lambda note: start(service, caller, request, note),
    )
    return Json(
        {
            "namespace_id": answer["namespace"]["namespace_id"],
            "template_id": template_id,
            "status": answer["status"],
            "task_id": answer["task_id"],
        },
        status_code=201,
    )
