"""Making the plan. Nothing is written; objects and points are read when they are copied."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..request import CloneRequest
from ..stores import Stores
from .draft import draft_plan
from .measure import measure_points
from .parties import Parties
from .plan import Plan


def make_plan(
    stores: Stores, request: CloneRequest, parties: Parties, policy: str | None = None
) -> Plan:
    """The plan for a request whose parties are known, and that `policy` makes. Writes nothing.

    Raises DanglingReferences under `on_dangling: fail`, InvalidRequest for a lane that cannot be.
    """
    return measure_points(stores, draft_plan(stores, request, parties), policy)


def expires_at(request: CloneRequest, now: datetime) -> datetime | None:
    return None if request.ttl_seconds is None else now + timedelta(seconds=request.ttl_seconds)
