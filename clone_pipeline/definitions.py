"""What Dagster loads."""

from importlib import import_module
from typing import Any

import dagster as dg

from clone_pipeline.assets import clone_assets
from clone_pipeline.checks import clone_checks
from clone_pipeline.jobs import clone_namespace, sweep_namespaces, test_restore
from clone_pipeline.policies import load_policies
from clone_pipeline.resources import StoresResource
from clone_pipeline.schedules import check_schedule, policy_schedules, sweep_schedule
from clone_pipeline.sensors import policy_sensors
from clone_pipeline.settings import load_settings

# What a step's process would import anyway: forked, it starts in a fifth of the time.
_PRELOAD = [
    "dagster",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "clone_pipeline.definitions",
]


def _executor(name: str) -> dg.ExecutorDefinition:
    """One job from a laptop to a cluster: where its steps run is a setting."""
    if name == "multiprocess":
        start = {"start_method": {"forkserver": {"preload_modules": _PRELOAD}}}
        return dg.multiprocess_executor.configured(start)
    if name == "celery":
        executor: dg.ExecutorDefinition = import_module("dagster_celery").celery_executor
        return executor
    if name == "k8s":
        executor = import_module("dagster_k8s").k8s_job_executor
        return executor
    return dg.in_process_executor


_settings = load_settings()
_policies = load_policies(_settings.policies)
_resources: dict[str, Any] = {"stores": StoresResource()}
_assets = clone_assets(_settings, _policies)
_checks = [checks for checks in (clone_checks(_assets, _policies),) if checks is not None]
_check_schedules = [check_schedule(checks) for checks in _checks]

defs = dg.Definitions(
    jobs=[
        clone_namespace,
        sweep_namespaces,
        test_restore,
        *(schedule.job for schedule in _check_schedules),
    ],
    assets=_assets,
    asset_checks=_checks,
    schedules=[*policy_schedules(_policies, _settings), sweep_schedule(), *_check_schedules],
    sensors=policy_sensors(_policies, _settings),
    resources=_resources,
    executor=_executor(_settings.executor),
)
