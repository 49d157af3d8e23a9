"""The command `sweep`."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from clone_pipeline.cli.asking import confirm, need_terminal, yes_option
from clone_pipeline.cli.common import FAILED, Session, json_option, opened, print_json, tell
from clone_pipeline.cli.output import counted, print_table, say
from clone_pipeline.core.generations.sweep import SweepPlan, SweepReport, plan_sweep, run_sweep
from clone_pipeline.policies.rules import backup_policies


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would go and what stays; remove nothing.")
@yes_option
@json_option
def sweep(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove surplus backups, expired clones, failed leftovers and replaced generations.

    Where Dagster has a record of runs, those that have had their time go from it. Nothing that
    clone-pipeline did not make goes, nothing that a run uses, not the last proven backup of a
    policy, and of S3 files only what was copied for a clone that goes.
    """
    from clone_pipeline.core.archives.sweep import plan_archives, sweep_archives
    from clone_pipeline.defs.history import forget_runs, runs_to_forget
    from clone_pipeline.launch import recorded_instance

    with opened() as session, recorded_instance(session.settings) as instance:
        if not dry_run:
            session.must_write()
            if not yes:
                # Whether or not there is something to ask this time.
                need_terminal("Remove what `--dry-run` lists?")
        policies = backup_policies(session.settings)
        plan = plan_sweep(session.stores, session.organization_id, policies)
        archives = plan_archives(session.stores, session.organization_id, policies)
        now = session.stores.clock()
        runs = 0 if instance is None else len(runs_to_forget(instance, now))
        if dry_run:
            report = SweepReport(removed=plan.removals, kept=plan.kept)
        else:
            nothing = not (plan.removals or archives.removed or runs)
            also = [entry.sentence for entry in archives.removed]
            confirm(lambda: _question(session, plan, also, runs), yes=yes or nothing)
            report = run_sweep(session.stores, session.organization_id, policies, plan)
            archives = sweep_archives(session.stores, session.organization_id, policies, archives)
            runs = 0 if instance is None else forget_runs(instance, now)
    if as_json:
        rows = report.to_json() | {"archives": archives.to_json()}
        print_json({"dry_run": dry_run, **rows, "runs_forgotten": runs})
    else:
        _print(report.to_json(), "Would be removed" if dry_run else "Removed", _line)
        if any(archives.to_json().values()):
            removed = "Archives that would be removed" if dry_run else "Removed archives"
            _print(archives.to_json(), removed, _archive_line)
        if instance is not None:
            would = "would be " if dry_run else ""
            say(f"Dagster's record of runs: {counted({'runs': runs})} {would}forgotten.")
    if report.failed or archives.failed:
        raise SystemExit(FAILED)


def _question(session: Session, plan: SweepPlan, archives: list[str], runs: int) -> str:
    """Says before what goes, and why; of archives there are the sentences."""
    for sentence in [entry.sentence for entry in plan.removals] + archives:
        tell(f"To be removed: {sentence}")
    doomed = [one for entry in plan.removals for one in entry.generations]
    points = session.count_points(one.qdrant_collection for one in doomed)
    going = counted({"generations": len(doomed), "points": points})
    if files := sum(entry.owned.files for entry in plan.removals):
        going += f", {counted({'S3 files': files})} of their own"
    if archives:
        going += f", {counted({'archives': len(archives)})}"
    if runs:
        going += f", and the record of {counted({'runs': runs})} that have had their time"
    return f"Remove {going}?"


def _print(
    rows: Mapping[str, list[dict[str, Any]]],
    removed: str,
    line: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> None:
    print_table(removed, map(line, rows["removed"]))
    print_table("Kept", map(line, rows["kept"]))
    if rows["failed"]:
        print_table("Failed", map(line, rows["failed"]))
        say("What failed is tried again by the next sweep.")


def _archive_line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"address": row["address"], "why": row["why"]}


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    columns = (
        ("name", "namespace_name"),
        ("id", "namespace_id"),
        ("generation", "generation"),
        ("Qdrant collection", "qdrant_collection"),
        ("why", "why"),
    )
    return {shown: row[key] for shown, key in columns}
