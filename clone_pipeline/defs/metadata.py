"""Reports as Dagster shows them: tables, numbers, text. The one place that makes metadata."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from clone_pipeline.core.archives.records import Archive
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.outputs import Published
from clone_pipeline.core.report import STEPS, StepReport, size
from clone_pipeline.core.restore_test import RestoreTest
from clone_pipeline.core.words import to_json
from clone_pipeline.defs.assets import clone_key

Metadata = dict[str, Any]


def table(records: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue | None:
    """Records as a table; None for none, because an empty one has no columns."""
    rows = [
        dg.TableRecord({key: _cell(value) for key, value in record.items()}) for record in records
    ]
    return dg.MetadataValue.table(rows) if rows else None


def report_metadata(report: StepReport) -> Metadata:
    """An op's output metadata. The run page shows its first lines and folds the rest away: so
    counts come first, then facts, then lists, and last what only a program reads."""
    # The summary sums up: its counts are those of all steps.
    published = isinstance(report.output, Published)
    response = Published.of(report).response if published else None
    counts = report.counts if response is None else response["cloned_resources"]
    metadata: Metadata = {"status": _status(report), "created": sum(counts.values())}
    metadata |= {f"created_{name}": count for name, count in counts.items()}
    facts: Metadata = {"bytes": report.bytes}
    facts |= {"size": size(report.bytes), "seconds": report.seconds}
    if response is not None:
        facts |= _clone_facts(response)
    lists: Metadata = {"resources": table(report.resources)}
    rest: Metadata = {"clone_id": report.clone_id}
    for key, value in report.shown.items():
        if isinstance(value, bool | int | float | str):
            facts[key] = value
        elif (flat := _flat(value)) is not None:
            metadata[key] = table([flat])
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lists[key] = table(value)
        elif value not in (None, [], {}):
            rest[key] = dg.MetadataValue.json(value)
    if report.warnings:
        lists["warnings"] = dg.MetadataValue.md("\n".join(f"- {w}" for w in report.warnings))
    together = metadata | facts | lists | rest
    return {key: value for key, value in together.items() if value is not None}


def failure_metadata(error: CloneError, clone_id: str | None) -> Metadata:
    metadata: Metadata = {"code": error.code}
    if clone_id is not None:
        metadata["clone_id"] = clone_id
    if any(not isinstance(part, str) for part in error.said):
        # The sentence is beside it in the words of the Launchpad; the command line has its own.
        metadata["said"] = dg.MetadataValue.json(to_json(error.said))
    for key, value in error.details.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            metadata[key] = table(value[:100])
        elif value is not None:
            metadata[key] = _cell(value)
    return metadata


def partial_metadata(reports: Mapping[str, StepReport], points: int) -> Metadata:
    """How far a clone has come that ends here."""
    metadata: Metadata = {"points_copied": points}
    done = [
        {"step": step, "status": reports[step].status, "created": reports[step].created}
        for step in STEPS
        if step in reports
    ]
    if (shown := table(done)) is not None:
        metadata["steps_done"] = shown
    return metadata


def sweep_metadata(rows: Mapping[str, list[dict[str, Any]]], *, dry_run: bool) -> Metadata:
    """The same lists that the command shows; of a dry run, `removed` is what would go."""
    metadata: Metadata = {"dry_run": dry_run}
    metadata |= {f"generations_{name}": len(found) for name, found in rows.items()}
    lists = {name: table(found) for name, found in rows.items()}
    return metadata | {name: shown for name, shown in lists.items() if shown is not None}


def archive_sweep_metadata(rows: Mapping[str, list[dict[str, Any]]]) -> Metadata:
    """The same of archives; nothing where there are none."""
    if not any(rows.values()):
        return {}
    metadata: Metadata = {f"archives_{name}": len(found) for name, found in rows.items()}
    lists = {f"{name}_archives": table(found) for name, found in rows.items()}
    return metadata | {name: shown for name, shown in lists.items() if shown is not None}


def archive_metadata(made: Archive) -> Metadata:
    facts = made.to_json() | {"size": size(made.bytes or 0)}
    shown = ("policy", "error", "restore_test")
    return {key: _cell(value) for key, value in facts.items() if key not in shown and value}


def archive_materialization(made: Archive) -> dg.AssetMaterialization:
    """One point on the plots of its policy's page, with the same names as a clone's."""
    return dg.AssetMaterialization(
        asset_key=clone_key(made.organization_id, made.policy or made.name),
        description=f"Archive of {made.source_namespace_id}",
        partition=made.name if made.policy else None,
        metadata={
            "points": made.points or 0,
            "objects": made.objects or 0,
            "bytes": made.bytes or 0,
            "seconds": made.seconds or 0.0,
            "proven": "full",
            "address": made.address,
            "source_namespace_id": made.source_namespace_id,
        },
    )


def restore_test_metadata(result: RestoreTest) -> Metadata:
    facts = {key: value for key, value in result.to_json().items() if value is not None}
    return {"sentence": facts.pop("sentence"), **facts}


def summary_materialization(report: StepReport) -> dg.AssetMaterialization:
    """One point on the asset page's plots: what the clone holds and what it took."""
    published = Published.of(report)
    response = published.response
    namespace = response["namespace"]
    return dg.AssetMaterialization(
        asset_key=asset_key(report),
        description=f"Clone of {response['source_namespace_id']}",
        partition=namespace["namespace_name"] if published.backup_policy else None,
        metadata={
            **response["cloned_resources"],
            **{f"points_{what}": count for what, count in (published.changes or {}).items()},
            "bytes": report.bytes,
            "seconds": published.seconds_in_all,
            "proven": published.proven,
            "unchanged": published.unchanged,
            **({"points_proven_at": at.isoformat()} if (at := published.read_at) else {}),
            "namespace_id": namespace["namespace_id"],
            "source_namespace_id": response["source_namespace_id"],
            "clone_id": report.clone_id,
        },
    )


def asset_key(report: StepReport) -> dg.AssetKey:
    """Backups of one policy, each under another name, are one asset."""
    published = Published.of(report)
    name = published.response["namespace"]["namespace_name"]
    where = published.environment
    return clone_key(published.organization_id, published.backup_policy or name, where)


def _clone_facts(response: Mapping[str, Any]) -> Metadata:
    namespace = response["namespace"]
    return {
        "namespace_name": namespace["namespace_name"],
        "namespace_id": namespace["namespace_id"],
        "source_namespace_id": response["source_namespace_id"],
        "primary_retriever_id": response["primary_retriever_id"],
    }


def _flat(value: Any) -> dict[str, Any] | None:
    """An object that makes one row of a table, without what is empty in it; else None."""
    if not isinstance(value, dict):
        return None
    filled = {key: item for key, item in value.items() if item not in ([], {})}
    nested = any(isinstance(item, list | dict) for item in filled.values())
    return None if nested or not filled else filled


def _status(report: StepReport) -> str:
    if report.status == "skipped":
        return str(report.details.get("reason", "skipped"))
    return "done before this run" if report.resumed else "done"


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
