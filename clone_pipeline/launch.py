"""Running the job in this process, against the same Dagster instance as the UI."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.executor.child_process_executor import ChildProcessCrashException
from filelock import FileLock
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError  # type: ignore[import-untyped]

from clone_pipeline.core.errors import InvalidRequest, StorageFailed
from clone_pipeline.settings import LOG_LEVEL_VARIABLE, Settings
from clone_pipeline.step import CANCELLED

JOB = "clone_namespace"
_CANCEL_EVENTS = (dg.DagsterEventType.RUN_CANCELING, dg.DagsterEventType.RUN_CANCELED)

# An instance that nobody has configured: it reports nothing to anybody.
_QUIET_INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"


def clone_job() -> dg.JobDefinition:
    """The job as Dagster loads it; named here so that other processes can find it again."""
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(JOB)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """DAGSTER_HOME's instance; else that of the dagster.yaml in the working directory, which is
    also what `dagster dev` uses there; else one below the data folder.

    Raises InvalidRequest for a DAGSTER_HOME that is no folder and for a broken dagster.yaml."""
    folder = instance_folder(settings)
    if folder == Path("."):
        settings.home.mkdir(parents=True, exist_ok=True)
        return _open_alone(folder, settings.home)
    return _open_alone(folder, folder)


def instance_folder(settings: Settings) -> Path:
    """The folder with the instance's dagster.yaml. Raises InvalidRequest."""
    if settings.dagster_home is not None:
        folder = settings.dagster_home
        if not (folder.is_absolute() and folder.is_dir()):
            raise InvalidRequest(
                f"DAGSTER_HOME is {str(folder)!r}; it must be the absolute path of a folder that "
                "exists."
            )
        return folder
    if Path("dagster.yaml").exists():
        return Path(".")
    folder = settings.home.absolute() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        (folder / "dagster.yaml").write_text(_QUIET_INSTANCE)
    return folder


def _open_alone(folder: Path, lock_folder: Path) -> dg.DagsterInstance:
    """Dagster makes its SQLite files at the first start, and fails when two processes do so."""
    try:
        with FileLock(lock_folder / ".clone-pipeline.lock"):
            return dg.DagsterInstance.from_config(str(folder))
    except (dg.DagsterInvalidConfigError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InvalidRequest(f"{folder / 'dagster.yaml'} is not usable: {reason}") from error


def run_job(
    instance: dg.DagsterInstance, request: Mapping[str, Any], *, quiet: bool
) -> dg.JobExecutionResult:
    """Runs `clone_namespace` for a request to its end. A failed run is a result, not an error.

    Raises StorageFailed where Dagster itself cannot write down what happens.
    """
    if quiet:
        # For the steps' own processes too. The caller shows progress; the events are in the UI.
        os.environ[LOG_LEVEL_VARIABLE] = "CRITICAL"
    try:
        with _output_given_back():
            return dg.execute_job(
                dg.reconstructable(clone_job),
                instance=instance,
                run_config=dict(request),
                raise_on_error=False,
            )
    except (DBAPIError, OSError) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error.strerror or error)
        raise StorageFailed(
            f"Dagster's record of the run in {instance.root_directory} cannot be written: "
            f"{reason}; put that right, and resume the clone."
        ) from error


@contextmanager
def _output_given_back() -> Iterator[None]:
    """Dagster sends a step's output into files, and leaves it there when these cannot be written:
    what is said on a full disk would be lost."""
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    try:
        yield
    finally:
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)


def failure(result: dg.JobExecutionResult) -> tuple[str, str]:
    """What a failed run's first failed step said: (sentence, code of the error)."""
    for event in result.all_events:
        if event.is_step_failure:
            return _step_failure(event.step_key or "", event.step_failure_data)
        if event.event_type in _CANCEL_EVENTS:
            return CANCELLED, "cancelled"
    return "The run ended before its first step; its page in the Dagster UI says why.", "run_failed"


def _step_failure(step: str, data: StepFailureData) -> tuple[str, str]:
    if data.user_failure_data is not None:
        code = data.user_failure_data.metadata.get("code")
        sentence = data.user_failure_data.description or ""
        return sentence, "" if code is None else str(code.value)
    kind = data.error.cls_name if data.error else None
    if kind == dg.DagsterExecutionInterruptedError.__name__:
        return CANCELLED, "cancelled"
    if kind == ChildProcessCrashException.__name__:
        return f"The process of {step} was killed; resume the clone.", "step_killed"
    return (data.error.message if data.error else f"{step} failed.").strip(), "unexpected"
