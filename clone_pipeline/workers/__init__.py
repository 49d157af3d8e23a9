"""Whole runs on other machines, by Celery: `CeleryLauncher` for dagster.yaml, `app` for workers.

Needs the extra `celery`.
"""

from __future__ import annotations

from clone_pipeline.core.errors import InvalidRequest

try:
    from clone_pipeline.workers.launcher import CeleryLauncher
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("clone_pipeline"):
        raise
    raise InvalidRequest(
        "CeleryLauncher, the run launcher in dagster.yaml, needs the extra `celery`, which is not "
        f"installed here ({error.name} is missing): pip install 'clone-pipeline[celery]'."
    ) from None

__all__ = ["CeleryLauncher"]
