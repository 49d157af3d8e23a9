"""What Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from clone_pipeline.api.metrics import exposed
from clone_pipeline.api.service import Caller, Services

router = APIRouter(tags=["Health"])


@router.get("/metrics", include_in_schema=False)
def metrics(service: Services, caller: Caller, request: Request) -> Response:
    """Of the caller's organization; of all for an admin. It is no part of the platform's API."""
    organization_id = None if caller.role == "admin" else caller.organization_id
    body, content_type = exposed(
        service.stores, service.policies, organization_id, request.headers.get("accept", "")
    )
    return Response(body, media_type=content_type)
