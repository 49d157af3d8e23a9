"""The code location: all that Dagster shows, as policies and catalog are now."""

import logging
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from clone_pipeline.defs.assets import clone_assets
from clone_pipeline.defs.checks import clone_checks
from clone_pipeline.defs.config import console
from clone_pipeline.defs.history import another_dev, dev_above, where_runs_are_recorded
from clone_pipeline.defs.jobs import (
    archive_namespace,
    clone_namespace,
    sweep_namespaces,
    test_restore,
)
from clone_pipeline.defs.reports import reports_in_the_ledger
from clone_pipeline.defs.resources import StoresResource
from clone_pipeline.defs.schedules import check_schedule, policy_schedules, sweep_schedule
from clone_pipeline.defs.sensors import policy_sensors
from clone_pipeline.policies import load_policies
from clone_pipeline.settings import load_settings

# What a step's process would import anyway: forked, it starts in a fifth of the time.
_PRELOAD = [
    "dagster",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "clone_pipeline.definitions",
]


def _executor(name: str) -> dg.ExecutorDefinition:
    """Where the steps of a run are: in its process, or each in one of its own. On which machine a
    run is, the run launcher in dagster.yaml says."""
    if name == "multiprocess":
        start = {"start_method": {"forkserver": {"preload_modules": _PRELOAD}}}
        return dg.multiprocess_executor.configured(start)
    return dg.in_process_executor


_settings = load_settings()
for _told in (
    where_runs_are_recorded(_settings, Path.cwd(), sys.argv),
    another_dev(_settings.home, dev_above()),
):
    if _told is not None:
        logging.getLogger(__name__).warning("%s", _told)
_policies = load_policies(_settings.policies)
_resources: dict[str, Any] = {"stores": StoresResource(), "io_manager": reports_in_the_ledger}
_assets = clone_assets(_settings, _policies)
_checks = [checks for checks in (clone_checks(_assets, _policies),) if checks is not None]
_check_schedules = [check_schedule(checks) for checks in _checks]
_looking_after = [sweep_schedule(_policies), *_check_schedules]

defs = dg.Definitions(
    jobs=[
        clone_namespace,
        archive_namespace,
        sweep_namespaces,
        test_restore,
        *(schedule.job for schedule in _check_schedules),
    ],
    assets=_assets,
    asset_checks=_checks,
    schedules=[*policy_schedules(_policies, _settings), *_looking_after],
    sensors=policy_sensors(_policies, _settings),
    resources=_resources,
    loggers={"console": console},
    executor=_executor(_settings.executor),
)
