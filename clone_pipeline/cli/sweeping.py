"""The command `sweep`."""

from collections.abc import Mapping
from typing import Any

import click

from clone_pipeline.cli.common import FAILED, json_option, opened, print_json
from clone_pipeline.cli.output import print_table, say
from clone_pipeline.core.sweep import SweepReport, plan_sweep, run_sweep
from clone_pipeline.sweeping import backup_policies


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would go and what stays; remove nothing.")
@json_option
def sweep(dry_run: bool, as_json: bool) -> None:
    """Remove surplus backups, expired clones, failed leftovers and replaced generations.

    Nothing that clone-pipeline did not make goes, nothing that a run uses, not the last proven
    backup of a policy, and no S3 file.
    """
    with opened() as session:
        if not dry_run:
            session.must_write()
        policies = backup_policies(session.settings)
        plan = plan_sweep(session.stores, session.organization_id, policies)
        if dry_run:
            report = SweepReport(removed=plan.removals, kept=plan.kept)
        else:
            report = run_sweep(session.stores, session.organization_id, policies, plan)
    if as_json:
        print_json({"dry_run": dry_run, **report.to_json()})
    else:
        _print(report.to_json(), "Would be removed" if dry_run else "Removed")
    if report.failed:
        raise SystemExit(FAILED)


def _print(rows: Mapping[str, list[dict[str, Any]]], removed: str) -> None:
    print_table(removed, map(_line, rows["removed"]))
    print_table("Kept", map(_line, rows["kept"]))
    if rows["failed"]:
        print_table("Failed", map(_line, rows["failed"]))
        say("What failed is tried again by the next sweep.")


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    columns = (
        ("name", "namespace_name"),
        ("id", "namespace_id"),
        ("generation", "generation"),
        ("Qdrant collection", "qdrant_collection"),
        ("why", "why"),
    )
    return {shown: row[key] for shown, key in columns}
