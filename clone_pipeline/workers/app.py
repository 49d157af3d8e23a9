"""What a Celery worker loads: `celery -A clone_pipeline.workers.app worker`.

Broker and settings are those of the launcher in dagster.yaml, so they are written down once.
"""

from __future__ import annotations

import dagster as dg
from celery import Celery
from dagster_celery.tasks import create_execute_job_task

from clone_pipeline.core.errors import CloneError, InvalidRequest
from clone_pipeline.launch import open_instance
from clone_pipeline.settings import load_settings
from clone_pipeline.workers import CeleryLauncher


def _load() -> Celery:
    settings = load_settings()
    if settings.dagster_home is None:
        # Dagster's part of the task opens its instance by it.
        raise InvalidRequest(
            "DAGSTER_HOME is not set: a worker needs the folder that has the dagster.yaml of the "
            "webserver and the daemon."
        )
    with open_instance(settings) as instance:
        launcher = _launcher(instance)
        create_execute_job_task(launcher.celery)
        return launcher.celery


def _launcher(instance: dg.DagsterInstance) -> CeleryLauncher:
    launcher = instance.run_launcher
    if not isinstance(launcher, CeleryLauncher):
        raise InvalidRequest(
            f"The dagster.yaml of this worker has {type(launcher).__name__} for `run_launcher`; "
            "it must be CeleryLauncher of clone_pipeline.workers, with the broker of the daemon."
        )
    return launcher


try:
    app = _load()
except CloneError as error:
    raise SystemExit(f"Error: {error.message}") from None
