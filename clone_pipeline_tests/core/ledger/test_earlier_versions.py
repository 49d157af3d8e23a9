"""What earlier versions have written into the ledger is read, and gone on with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.stored import read_plan, read_seal
from clone_pipeline.core.outputs import CopiedObjects, CopiedPoints, Planned, Proof
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.verify import verify_pair
from clone_pipeline_tests import harness

KEPT = Path(__file__).parent / "earlier"
COPIED_BEFORE = 16


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """The stores as the killed process left them."""
    with sqlite3.connect(tmp_path / "catalog.db") as catalog:
        catalog.executescript((KEPT / "catalog.sql").read_text(encoding="utf-8"))
        [row] = catalog.execute("SELECT qdrant_collection, plan FROM clones")
        [source] = catalog.execute("SELECT qdrant_config FROM namespaces WHERE clone_id IS NULL")
    catalog.close()
    with harness.open_stores(tmp_path) as stores:
        with stores.vectors() as vectors:
            vectors.create("source_points", json.loads(source[0]))
            vectors.upsert("source_points", list(points("source")))
            vectors.create(row[0], json.loads(row[1])["qdrant_config"])
            vectors.upsert(row[0], list(points("target")))
        yield stores


def points(name: str) -> Iterator[Point]:
    for line in (KEPT / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        yield Point(value["id"], value["vectors"], value["payload"])


def test_a_clone_that_the_version_before_began_is_resumed_and_published(stores: Stores) -> None:
    with stores.catalog.read() as connection:
        begun = ledger.unfinished(connection, "org_acme", "copy")
        assert begun is not None
        reports = ledger.read_reports(connection, begun.clone_id)
    assert "copy_points" not in reports
    assert CopiedObjects.among(reports).objects_digest["count"] == 9

    made = harness.clone(stores, "source", "copy")
    assert (made.clone_id, made.status) == (begun.clone_id, "ready")
    assert made.plan["ids"] == begun.plan["ids"]
    with stores.catalog.read() as connection:
        reports = ledger.read_reports(connection, made.clone_id)
    assert reports["copy_points"].counts == {"points": 24}
    assert CopiedPoints.among(reports).points_in_this_run == 24 - COPIED_BEFORE
    assert verify_pair(stores, None, "source", "copy").equal is True


def report(step: str, details: dict[str, Any]) -> StepReport:
    """As a version without outputs has stored it."""
    stored = StepReport("clone_1", step, details=details).to_json()
    del stored["output"]
    return StepReport.from_json(stored | {"skipped": 0})


def test_what_later_steps_need_is_found_among_the_details_of_earlier_reports() -> None:
    seal = {"records": {"bucket": "a"}, "points": {"count": 1, "slices": ["b"]}}
    proof = report("verify_clone", {"proven": "full", "counted": {}, "seal": seal, "drift": {}})
    assert Proof.of(proof) == Proof("full", {}, seal | {})  # type: ignore[arg-type]
    assert proof.details == {"drift": {}}
    known = {"proven": "full", "counted": {}, "seal": seal}
    known |= {"last_write": None, "unchanged": False, "source": None}
    assert proof.shown == {**known, "drift": {}}
    planned = report("plan_clone", {"begun_at": "2026-01-02T03:04:05+00:00", "run_id": "run"})
    assert Planned.of(planned) == Planned("2026-01-02T03:04:05+00:00", "run")
    native = report("copy_points", {"points_in_this_run": 3, "transport": "inside Qdrant"})
    assert CopiedPoints.of(native) == CopiedPoints(3)
    assert report("clone_config", {"payload_indexes": 1}).output is None


def test_a_plan_of_the_first_schema_has_what_was_not_known_then() -> None:
    first = {"lane": "stream", "counts": {"points": 1}, "warnings": []}
    plan = read_plan(first)
    assert (plan["lane"], plan["slices"], plan["put_back"]) == ("stream", 1, [])


def test_the_first_seals_have_one_digest_of_points_that_is_not_used() -> None:
    assert read_seal(None) is None
    seal = read_seal({"records": {}, "points": {"count": 3, "digest": "a"}, "qdrant_config": ""})
    assert seal is not None
    assert seal["points"]["slices"] is None


def test_renaming_what_is_shown_does_not_change_what_a_later_step_reads() -> None:
    proof = Proof("full", {"points": 1}, {"records": {}, "points": {}, "qdrant_config": ""})  # type: ignore[typeddict-item]
    stored = StepReport("clone_1", "verify_clone", output=proof, details={"proven": "as shown"})
    read = StepReport.from_json(json.loads(json.dumps(stored.to_json())))
    assert Proof.of(read).proven == "full"
    assert read.output == proof
