"""Running the job in this process, against the same Dagster instance as the UI."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import dagster as dg
import yaml  # type: ignore[import-untyped]
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.execution.api import execute_run
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.executor.child_process_executor import ChildProcessCrashException
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from filelock import FileLock
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError

from clone_pipeline.core.errors import InvalidRequest, StorageFailed, StoreUnavailable
from clone_pipeline.core.private import make_folder
from clone_pipeline.core.words import Part, from_json
from clone_pipeline.defs.outcome import CANCELLED
from clone_pipeline.settings import LOG_LEVEL_VARIABLE, Settings

JOB, ARCHIVE_JOB = "clone_namespace", "archive_namespace"
# What the workspace calls the code, and Dagster the definitions in it.
LOCATION, REPOSITORY = "clone_pipeline", "__repository__"
MAX_RETRIES_TAG = "dagster/max_retries"
_CANCEL_EVENTS = (dg.DagsterEventType.RUN_CANCELING, dg.DagsterEventType.RUN_CANCELED)

_UNSET = re.compile(r'environment variable "(\w+)" which is not set')
_MISSING = re.compile(r"Couldn't import module (\w+)[\w.]* when")
_EXTRAS = {"dagster_postgres": "postgres", "dagster_celery": "celery", "dagster_k8s": "k8s"}

_MISREAD = re.compile(r"\?|%[0-9A-Fa-f]{2}")

# An instance that nobody has configured: it reports nothing to anybody.
_QUIET_INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"


def clone_job() -> dg.JobDefinition:
    """The job as Dagster loads it; named here so that other processes can find it again."""
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(JOB)


def archive_job() -> dg.JobDefinition:
    """As `clone_job`, the one that writes archives."""
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(ARCHIVE_JOB)


_JOBS = {JOB: clone_job, ARCHIVE_JOB: archive_job}


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """DAGSTER_HOME's instance; else that of the dagster.yaml in the working directory, which is
    also what `dagster dev` uses there; else one below the data folder.

    Raises InvalidRequest for a DAGSTER_HOME that is no folder and for a broken dagster.yaml,
    StorageFailed where it cannot be made, as on a full disk."""
    folder = instance_folder(settings)
    _refuse_misread(folder)
    if folder == Path("."):
        try:
            make_folder(settings.home)
        except OSError as error:
            raise _cannot_write(settings.home, error) from error
        return _open_alone(folder, settings.home)
    return _open_alone(folder, folder)


@contextmanager
def recorded_instance(settings: Settings) -> Iterator[dg.DagsterInstance | None]:
    """The instance that `open_instance` opens, where there is one. Raises the same."""
    own = settings.home.absolute() / "dagster" / "dagster.yaml"
    if settings.dagster_home is None and not (Path("dagster.yaml").exists() or own.exists()):
        yield None
        return
    with open_instance(settings) as instance:
        try:
            yield instance
        except DBAPIError as error:
            raise _cannot_write(instance.root_directory, error) from error


def instance_folder(settings: Settings) -> Path:
    """The folder with the instance's dagster.yaml. Raises InvalidRequest, StorageFailed."""
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
    try:
        make_folder(folder)
        if not (folder / "dagster.yaml").exists():
            half = folder / f".dagster.yaml.{os.getpid()}"
            half.write_text(_QUIET_INSTANCE)
            half.replace(folder / "dagster.yaml")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return folder


def _refuse_misread(folder: Path) -> None:
    """Dagster writes the path of its SQLite files into a URL as it is: what means something there
    would lead to another file, which others may have, too. Raises InvalidRequest."""
    if not _MISREAD.search(str(folder.absolute())):
        return
    path = folder / "dagster.yaml"
    storage = (yaml.safe_load(path.read_text()) or {}).get("storage") if path.exists() else None
    if storage is None or "sqlite" in storage:
        raise InvalidRequest(
            f"Dagster cannot keep its record of runs in {str(folder.absolute())!r}, because of the "
            "`?` or `%` in it; set DAGSTER_HOME to another folder."
        )


def _open_alone(folder: Path, lock_folder: Path) -> dg.DagsterInstance:
    """Dagster makes its SQLite files at the first start, and fails when two processes do so."""
    try:
        with FileLock(lock_folder / ".clone-pipeline.lock"):
            return dg.DagsterInstance.from_config(str(folder))
    except (dg.DagsterInvalidConfigError, YAMLError) as error:
        reason = " ".join(str(error).split())
        unset = _UNSET.search(reason)
        if unset is not None:
            reason = f"it takes a value from the environment variable {unset[1]}, which is not set."
        raise InvalidRequest(f"{folder / 'dagster.yaml'} is not usable: {reason}") from error
    except (DBAPIError, OSError) as error:
        raise _cannot_write(folder, error) from error
    except Exception as error:
        sentence = _not_installed(str(error))
        if sentence is not None:
            raise InvalidRequest(f"{folder / 'dagster.yaml'} {sentence}") from None
        if type(error).__module__.startswith("dagster_postgres"):
            raise StoreUnavailable(
                f"The PostgreSQL of Dagster's record of runs, which {folder / 'dagster.yaml'} "
                f"names, cannot be reached: {error}."
            ) from None
        raise


def _not_installed(said: str) -> str | None:
    """What Dagster says where a class cannot be loaded that dagster.yaml names, in words that say
    what to do."""
    missing = _MISSING.search(said)
    if missing is None:
        return None
    extra = _EXTRAS.get(missing[1])
    install = f": pip install 'clone-pipeline[{extra}]'" if extra else ""
    return f"needs the package {missing[1]}, which is not installed here{install}."


def _cannot_write(folder: Path | str, error: DBAPIError | OSError) -> StorageFailed:
    """As where the disk is full."""
    reason = str(error.orig if isinstance(error, DBAPIError) else error.strerror or error)
    return StorageFailed(
        f"Dagster's record of runs in {folder} cannot be written: {reason}; put that right, and "
        "try again."
    )


def run_job(
    instance: dg.DagsterInstance,
    request: Mapping[str, Any],
    *,
    quiet: bool,
    tags: Mapping[str, str] | None = None,
    job: str = JOB,
) -> dg.JobExecutionResult:
    """Runs a job, `clone_namespace` for a request, to its end, with these tags besides the job's
    own. A failed run is a result, not an error.

    Raises StorageFailed where Dagster itself cannot write down what happens.
    """
    if quiet:
        # For the steps' own processes too. The caller shows progress; the events are in the UI.
        os.environ[LOG_LEVEL_VARIABLE] = "CRITICAL"
    try:
        with _output_given_back():
            again = dg.reconstructable(_JOBS[job])
            return execute_run(again, _recorded(instance, again, request, tags or {}), instance)
    except (DBAPIError, OSError) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error.strerror or error)
        raise StorageFailed(
            f"Dagster's record of the run in {instance.root_directory} cannot be written: "
            f"{reason}; put that right, and resume the clone."
        ) from error


def _recorded(
    instance: dg.DagsterInstance,
    job: ReconstructableJob,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dg.DagsterRun:
    """A run as the UI records it: with where its job is from, which is how the pages of the job and
    its sensors find it. The daemon does not start it anew: whoever is at the terminal may."""
    definition = job.get_definition()
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    return instance.create_run_for_job(
        definition,
        run_config=dict(request),
        tags={**definition.run_tags, **tags, MAX_RETRIES_TAG: "0"},
        remote_job_origin=repository.get_job_origin(definition.name),
        job_code_origin=job.get_python_origin(),
    )


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


def failure(result: dg.JobExecutionResult) -> tuple[Sequence[Part], str]:
    """What a failed run's first failed step said: (parts of the sentence, code of the error)."""
    for event in result.all_events:
        if event.is_step_failure:
            return _step_failure(event.step_key or "", event.step_failure_data)
        if event.event_type in _CANCEL_EVENTS:
            return [CANCELLED], "cancelled"
    sentence = "The run ended before its first step; its page in the Dagster UI says why."
    return [sentence], "run_failed"


def _step_failure(step: str, data: StepFailureData) -> tuple[Sequence[Part], str]:
    if data.user_failure_data is not None:
        told = data.user_failure_data.metadata
        code = "" if "code" not in told else str(told["code"].value)
        if "said" in told:
            return from_json(cast(list[Any], told["said"].value)), code
        return [data.user_failure_data.description or ""], code
    kind = data.error.cls_name if data.error else None
    if kind == dg.DagsterExecutionInterruptedError.__name__:
        return [CANCELLED], "cancelled"
    if kind == ChildProcessCrashException.__name__:
        return [f"The process of {step} was killed; resume the clone."], "step_killed"
    return [(data.error.message if data.error else f"{step} failed.").strip()], "unexpected"
