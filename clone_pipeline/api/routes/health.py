"""Whether the service is up, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import select

from clone_pipeline.api.errors import ErrorResponse, Json
from clone_pipeline.api.models import Health
from clone_pipeline.api.service import Services
from clone_pipeline.core.catalog.schema import organizations

router = APIRouter(tags=["Health"])


@router.get("/healthz", operation_id="healthz", response_model=Health)
async def healthz() -> Json:
    """The process answers."""
    return Json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=Health,
    responses={503: {"model": ErrorResponse, "description": "ServiceUnavailableError"}},
)
def readyz(service: Services) -> Json:
    """The catalog can be read and Dagster answers."""
    with service.stores.catalog.read() as connection:
        connection.execute(select(organizations.c.organization_id).limit(1))
    service.runs.check()
    return Json({"status": "ok"})
