"""Whether the service is up, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import select

from clone_pipeline.api.errors import ErrorResponse, Json
from clone_pipeline.api.models import Health
from clone_pipeline.api.service import Service
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
async def readyz(request: Request) -> Json:
    """The catalog can be read and Dagster answers, as a look of the last two seconds has found."""
    await request.app.state.readiness.check()
    return Json({"status": "ok"})


def look(service: Service) -> None:
    """Raises StoreUnavailable where the service cannot do its work now."""
    with service.stores.catalog.read() as connection:
        connection.execute(select(organizations.c.organization_id).limit(1))
    service.runs.check()
