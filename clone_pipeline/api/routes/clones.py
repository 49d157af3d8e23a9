"""Cloning: the request itself, and its dry run."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter

from clone_pipeline.api.errors import Json, documented
from clone_pipeline.api.idempotency import Answer, IdempotencyKey, Note, once
from clone_pipeline.api.models import CloneNamespaceRequest, CloneNamespaceResponse, ClonePlan
from clone_pipeline.api.service import Caller, Service, Services
from clone_pipeline.core.generations.discard import withdraw
from clone_pipeline.core.plan.dry_run import plan_for
from clone_pipeline.core.plan.reservation import count_others, reserve_for_run, submitted
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import CloneRequest, parse_request

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Namespace clone"])

_ERRORS = documented(400, 403, 409)


@router.post(
    "/v1/namespaces/{namespace_identifier}/clone",
    operation_id="clone_namespace",
    response_model=CloneNamespaceResponse,
    responses=_ERRORS,
)
def clone_namespace(
    namespace_identifier: str,
    body: CloneNamespaceRequest,
    service: Services,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Json:
    """Reserve the name, store the plan and ask Dagster for the run. Answers at once; poll the
    namespace or the task."""
    request = _request(namespace_identifier, body)
    given = ["clone", request.model_dump()]
    return Json(
        once(
            service.stores,
            caller,
            idempotency_key,
            given,
            lambda note: start(service, caller, request, note),
        )
    )


@router.post(
    "/v1/namespaces/{namespace_identifier}/clone/plan",
    operation_id="plan_namespace_clone",
    response_model=ClonePlan,
    responses=_ERRORS,
)
def plan_clone(
    namespace_identifier: str,
    body: CloneNamespaceRequest,
    service: Services,
    caller: Caller,
) -> Json:
    """What the clone would do. Writes nothing."""
    request = _request(namespace_identifier, body)
    return Json(plan_for(service.stores, request, caller))


def start(service: Service, caller: Principal, request: CloneRequest, note: Note) -> Answer:
    """A reserved clone whose run is asked for; its `CloneNamespaceResponse`.

    Raises what is wrong with the request, and StoreUnavailable where Dagster cannot be asked: the
    name is free again then.
    """
    clone = reserve_for_run(service.stores, request, caller)
    try:
        note(clone.clone_id)
        run_id = service.runs.submit(clone, count_others(service.stores, clone))
    except BaseException:
        withdraw(service.stores, clone, "Dagster could not be asked for a run; ask again.")
        raise
    logger.info("%s is reserved for the run %s.", clone.clone_id, run_id)
    return submitted(service.stores, clone, run_id)


def _request(namespace_identifier: str, body: Any) -> CloneRequest:
    values = body.model_dump(exclude_unset=True)
    if values.get("include_resources", ...) is None:
        del values["include_resources"]
    return parse_request({"namespace_identifier": namespace_identifier, **values})
