"""Dagster's record of runs: where it is, and what of it is kept.

Dagster itself forgets ticks (`retention` in dagster.yaml), but no run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import yaml  # type: ignore[import-untyped]

from clone_pipeline.core.private import make_folder
from clone_pipeline.core.process import Holder
from clone_pipeline.defs.automation import ENDED
from clone_pipeline.settings import Settings

# How long runs that have ended are kept, by job, and how many at most. Those of the sweep and the
# checks come by the hour and say little; those of clones are the points of the plots.
KEPT = {
    "clone_namespace": timedelta(days=90),
    "archive_namespace": timedelta(days=90),
    "test_restore": timedelta(days=90),
    "sweep_namespaces": timedelta(days=7),
    "check_clones": timedelta(days=7),
}
MOST_KEPT = 500
# So that a sweep which finds years of them ends soon; the next one goes on.
_AT_ONCE = 500


def runs_to_forget(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """The runs that have had their time."""
    return [run_id for job in KEPT for run_id in _doomed(instance, job, now)]


def forget_runs(instance: dg.DagsterInstance, now: datetime) -> int:
    """Removes runs that have had their time, with their events, logs and files. How many."""
    doomed = runs_to_forget(instance, now)
    for run_id in doomed:
        _forget(instance, run_id)
    return len(doomed)


def _doomed(instance: dg.DagsterInstance, job: str, now: datetime) -> Iterator[str]:
    ended = dg.RunsFilter(job_name=job, statuses=list(ENDED))
    surplus = instance.get_runs_count(ended) - MOST_KEPT
    oldest = instance.get_run_records(ended, limit=_AT_ONCE, order_by="id", ascending=True)
    for place, record in enumerate(oldest):
        if place < surplus or record.create_timestamp < now - KEPT[job]:
            yield record.dagster_run.run_id


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    # What the steps handed on, and what they printed.
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shards = getattr(instance.event_log_storage, "path_for_shard", None)
    instance.delete_run(run_id)
    if shards is not None:  # SQLite has a file for each run
        file = Path(shards(run_id))
        for one in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            one.unlink(missing_ok=True)


def where_runs_are_recorded(
    settings: Settings, folder: Path, arguments: Sequence[str]
) -> str | None:
    """What whoever starts Dagster in `folder` should know; None where all is as it should be, and
    in processes other than the code server: the command line always records its runs."""
    if not {"grpc", "code-server"} & set(arguments):
        return None
    if settings.dagster_home is None:
        if (folder / "dagster.yaml").exists():
            return None
        return (
            f"DAGSTER_HOME is unset and {folder} has no dagster.yaml: Dagster forgets its runs "
            "when it is stopped. Start it in the project's folder, or set DAGSTER_HOME."
        )
    file = settings.dagster_home / "dagster.yaml"
    relative = _relative_storage(file)
    if relative is None or settings.dagster_home.resolve() == folder.resolve():
        return None
    return (
        f"Runs are recorded in {folder / relative}: the path in {file} is relative to the folder "
        f"where Dagster is started. Write an absolute one, or start it in {settings.dagster_home}."
    )


def _relative_storage(file: Path) -> str | None:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))["storage"]["sqlite"]["base_dir"]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return None  # no SQLite, or a mistake that Dagster itself tells
    return found if isinstance(found, str) and not Path(found).is_absolute() else None


def another_dev(home: Path, mine: Holder | None) -> str | None:
    """What whoever starts a second `dagster dev` on one home should know; None where it is the only
    one, or (`mine` is None) none at all. Notes in the home which one is there."""
    if mine is None:
        return None
    file = home / "dagster_dev.json"
    with suppress(OSError, ValueError, TypeError):
        other = Holder(**json.loads(file.read_text(encoding="utf-8")))
        if (other.host, other.pid) != (mine.host, mine.pid) and other.is_dead() is False:
            return (
                f"Another `dagster dev` (process {other.pid}) is at work on {home.absolute()}: "
                "both would launch what schedules and sensors ask for. Stop one of them."
            )
    with suppress(OSError):
        make_folder(home)
        half = file.with_suffix(f".{mine.pid}")
        half.write_text(json.dumps(asdict(mine)), encoding="utf-8")
        half.replace(file)
    return None


def dev_above() -> Holder | None:
    """The `dagster dev` that has started this process."""
    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            words = process.cmdline()
            if "dev" in words and any(Path(word).name == "dagster" for word in words):
                return Holder.of(process.pid)
    return None
