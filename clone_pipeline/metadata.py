"""Reports as Dagster shows them: tables, numbers, text. The one place that makes metadata."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.report import StepReport

Metadata = dict[str, Any]


def table(records: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue | None:
    """Records as a table; None for none, because an empty one has no columns."""
    rows = [
        dg.TableRecord({key: _cell(value) for key, value in record.items()}) for record in records
    ]
    return dg.MetadataValue.table(rows) if rows else None


def report_metadata(report: StepReport) -> Metadata:
    """An op's output metadata: counts first, then the table of resources, then the rest."""
    metadata: Metadata = {"status": _status(report), "created": report.created}
    metadata |= {f"created_{name}": count for name, count in report.counts.items()}
    metadata |= {
        "skipped": report.skipped,
        "bytes": report.bytes,
        "seconds": report.seconds,
        "clone_id": report.clone_id,
    }
    tables = {"resources": report.resources}
    for key, value in report.details.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables[key] = value
        elif isinstance(value, bool | int | float | str):
            metadata[key] = value
        elif value not in (None, [], {}):
            metadata[key] = dg.MetadataValue.json(value)
    for key, records in tables.items():
        if (shown := table(records)) is not None:
            metadata[key] = shown
    if report.warnings:
        metadata["warnings"] = dg.MetadataValue.md("\n".join(f"- {w}" for w in report.warnings))
    return metadata


def failure_metadata(error: CloneError, clone_id: str | None) -> Metadata:
    metadata: Metadata = {"code": error.code}
    if clone_id is not None:
        metadata["clone_id"] = clone_id
    for key, value in error.details.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            metadata[key] = table(value[:100])
        elif value is not None:
            metadata[key] = _cell(value)
    return metadata


def summary_materialization(report: StepReport) -> dg.AssetMaterialization:
    """One point on the asset page's plots: what the clone holds and what it took."""
    response = report.details["response"]
    namespace = response["namespace"]
    return dg.AssetMaterialization(
        asset_key=asset_key(report),
        description=f"Clone of {response['source_namespace_id']}",
        metadata={
            **response["cloned_resources"],
            "bytes": report.bytes,
            "seconds": report.details["seconds_in_all"],
            "proven": report.details["proven"],
            "namespace_id": namespace["namespace_id"],
            "source_namespace_id": response["source_namespace_id"],
            "clone_id": report.clone_id,
        },
    )


def asset_key(report: StepReport) -> dg.AssetKey:
    name = report.details["response"]["namespace"]["namespace_name"]
    return dg.AssetKey(["clone", report.details["organization_id"], name])


def _status(report: StepReport) -> str:
    if report.status == "skipped":
        return str(report.details.get("reason", "skipped"))
    return "done before this run" if report.resumed else "done"


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
