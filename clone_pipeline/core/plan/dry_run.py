"""The dry run: what a clone would do. Nothing is written."""

from __future__ import annotations

from typing import Any

from ..principal import Principal
from ..request import CloneRequest
from ..source import reading_for
from ..stores import Stores
from .draft import draft_plan
from .make import make_plan
from .measure import measure_points
from .plan import Plan
from .resolve import resolve_parties
from .restore import sentences
from .warnings import warnings


def plan(stores: Stores, request: CloneRequest, principal: Principal) -> Plan:
    """What a clone would do. Writes nothing. Raises what is wrong with the request."""
    with reading_for(stores, request) as snapshots:
        parties = resolve_parties(snapshots, request, principal)
    return make_plan(stores, request, parties)


def plan_for(stores: Stores, request: CloneRequest, principal: Principal) -> dict[str, Any]:
    """What a clone would do; writes nothing.

    The embedded Qdrant admits one process at a time, and a service must not take it from the runs:
    there the points are not looked at, and the plan says so. Raises what is wrong with the request.
    """
    with reading_for(stores, request) as snapshots:
        parties = resolve_parties(snapshots, request, principal)
    draft = draft_plan(stores, request, parties)
    embedded = stores.vector_address.url is None
    made = draft if embedded else measure_points(stores, draft)
    shown = {key: value for key, value in made.shown().items() if key not in _NOT_SHOWN}
    if embedded:
        shown["counts"] = {**shown["counts"], "points": None}
        shown["warnings"] = [
            "The points are counted when the run plans: the embedded Qdrant is left to the runs.",
            *sentences(draft.reinstated),
            *warnings(request, draft.resources, draft.references, {**draft.counts, "points": 1}),
        ]
    return shown


# For machines, and large.
_NOT_SHOWN = ("ids", "qdrant_config", "catalog_mark", "source_mark", "source_segments")
