"""What the run page shows of a report, and in which order."""

from __future__ import annotations

from typing import Any

import dagster as dg

from clone_pipeline.core.outputs import Published
from clone_pipeline.core.report import StepReport
from clone_pipeline.defs.metadata import report_metadata

RESOURCES = [{"name": "one", "source_id": "bkt_a", "target_id": None}]


def table(metadata: dict[str, Any], key: str) -> list[dict[str, Any]]:
    assert isinstance(metadata[key], dg.TableMetadataValue)
    return [record.data for record in metadata[key].records]


def test_counts_come_first_then_facts_then_lists_then_what_programs_read() -> None:
    report = StepReport(
        clone_id="clone_1",
        step="clone_buckets",
        counts={"buckets": 2, "objects": 3},
        bytes=5,
        seconds=0.1,
        resources=RESOURCES,
        warnings=["Look."],
        details={
            "nested": {"a": {"b": 1}},
            "fact": "yes",
            "counted": {"buckets": 2, "empty": {}},
            "list": [{"x": 1}],
            "nothing": [],
            "unknown": None,
        },
    )
    metadata = report_metadata(report)
    assert list(metadata) == [
        *("status", "created", "created_buckets", "created_objects", "counted"),
        *("bytes", "size", "seconds", "fact"),
        *("resources", "list", "warnings"),
        *("clone_id", "nested"),
    ]
    assert metadata["created"] == 5
    assert table(metadata, "counted") == [{"buckets": 2}]
    assert table(metadata, "resources") == RESOURCES
    assert metadata["nested"].value == {"a": {"b": 1}}


def test_the_summary_counts_what_all_steps_made() -> None:
    response = {
        "namespace": {"namespace_name": "staging", "namespace_id": "ns_2"},
        "source_namespace_id": "ns_1",
        "primary_retriever_id": None,
        "cloned_resources": {"buckets": 2, "points": 40},
    }
    output = Published("org_1", None, response, 0.1, 1, 40, None, "full", [])
    report = StepReport("clone_1", "publish_clone", output=output)
    metadata = report_metadata(report)
    assert metadata["created"] == 42
    assert metadata["created_points"] == 40
    assert metadata["namespace_name"] == "staging"
    assert "primary_retriever_id" not in metadata


def test_a_skipped_and_a_resumed_step_say_so() -> None:
    details = {"reason": "skipped: not requested"}
    skipped = StepReport("clone_1", "clone_taxonomies", status="skipped", details=details)
    assert report_metadata(skipped)["status"] == "skipped: not requested"
    resumed = StepReport("clone_1", "clone_buckets", resumed=True)
    assert report_metadata(resumed)["status"] == "done before this run"
