"""Running the job in this process, against the same Dagster instance as the UI."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from clone_pipeline.settings import LOG_LEVEL_VARIABLE, Settings

JOB = "clone_namespace"


def clone_job() -> dg.JobDefinition:
    """The job as Dagster loads it; named here so that other processes can find it again."""
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(JOB)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """DAGSTER_HOME's instance; else that of the dagster.yaml in the working directory, which is
    also what `dagster dev` uses there; else one below the data folder."""
    if settings.dagster_home is not None:
        folder = settings.dagster_home
    elif Path("dagster.yaml").exists():
        folder = Path(".")
    else:
        folder = settings.home.absolute() / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
    return dg.DagsterInstance.from_config(str(folder))


def run_job(
    instance: dg.DagsterInstance, request: Mapping[str, Any], *, quiet: bool
) -> dg.JobExecutionResult:
    """Runs `clone_namespace` for a request to its end. A failed run is a result, not an error."""
    if quiet:
        # For the steps' own processes too. The caller shows progress; the events are in the UI.
        os.environ[LOG_LEVEL_VARIABLE] = "CRITICAL"
    return dg.execute_job(
        dg.reconstructable(clone_job),
        instance=instance,
        run_config=dict(request),
        raise_on_error=False,
    )


def failure(result: dg.JobExecutionResult) -> tuple[str, str]:
    """What a failed run's first failed step said: (sentence, code of the error)."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data.user_failure_data
            if data is not None:
                code = data.metadata.get("code")
                return data.description or "", "" if code is None else str(code.value)
            error = event.step_failure_data.error
            return (error.message if error else "A step failed.").strip(), "unexpected"
    return "The run ended before its first step; its page in the Dagster UI says why.", "run_failed"
