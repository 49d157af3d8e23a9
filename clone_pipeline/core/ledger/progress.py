"""How far a clone is, as the ledger knows it: the same for every door."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from ..report import STEPS, SUMMARY
from . import clones as ledger
from .clones import Clone


def read_progress(connection: Connection, clone: Clone) -> dict[str, Any]:
    """The step at work (None: all are done), and for each resource type how many are done, of how
    many that are planned (None: not known yet)."""
    reports = ledger.read_reports(connection, clone.clone_id)
    done = dict.fromkeys(SUMMARY, 0)
    for step, report in reports.items():
        if step not in ("verify_clone", "publish_clone"):
            for name, count in report.counts.items():
                done[name] += count
    if "copy_points" not in reports:
        done["points"] = ledger.points_copied(connection, clone.clone_id)
    planned: dict[str, int | None] = dict(clone.plan["counts"])
    if not clone.plan["transport"]:
        planned["points"] = None  # a reservation's plan is made without looking at the points
    begun = {"plan_clone"} if clone.reserved_at is None else set()
    # Of what was published before there was a step, that one is not at work.
    finished = set(STEPS) if "publish_clone" in reports else begun | set(reports)
    return {
        "step": next((step for step in STEPS if step not in finished), None),
        "steps_done": len(finished),
        "steps": len(STEPS),
        # What a clone is made of may be more than it was when this one was planned.
        "resources": {
            name: {"done": done[name], "planned": planned.get(name, 0)} for name in SUMMARY
        },
    }


def cloned_so_far(progress: dict[str, Any]) -> dict[str, int]:
    """The `ClonedResourceSummary` of what is done."""
    return {name: counts["done"] for name, counts in progress["resources"].items()}
