"""A deployment over several machines, with the dagster.yaml that is shipped for one.

The tests launch, cancel and look after runs as the webserver and the daemon do, in their own
process: what is on trial are the workers, which are real.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
import psutil
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._daemon.monitoring.run_monitoring import monitor_started_run
from sqlalchemy import select

from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.ledger.clones import points_copied
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.sensors import policy_sensors
from clone_pipeline.launch import _recorded, clone_job
from clone_pipeline.policies import load_policies
from clone_pipeline.settings import load_settings

ROOT = Path(__file__).parents[2]
DEPLOYED = ROOT / "deploy" / "dagster.yaml"
APP = "clone_pipeline.workers.app"
_ELSEWHERE = ("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")
# It ends a test that hangs, and measures nothing.
_PATIENCE = 600.0
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def wait_until(true: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + _PATIENCE
    while not (value := true()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return value


@cache
def can_be_elsewhere() -> bool:
    """Whether this system lets us start processes that see no others, as in a container."""
    try:
        return subprocess.run([*_ELSEWHERE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class Worker:
    """A Celery worker in a folder, a name space of processes and under a host name of its own."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def family(self) -> list[psutil.Process]:
        """Its processes from the first, the one that makes a run last."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return " ready." in self.log.read_text()

    def kill(self) -> None:
        """`kill -9` of all of it: the machine is gone."""
        for one in reversed(self.family):
            one.kill()
        self.process.wait()

    def kill_child(self) -> None:
        """`kill -9` of the process that makes the run; Celery starts another."""
        self.family[-1].kill()


@dataclass(frozen=True)
class Cluster:
    """Its stores can be reached from everywhere; its folders cannot."""

    folder: Path
    instance: dg.DagsterInstance
    stores: Stores
    variables: dict[str, str]
    workers: dict[str, Worker] = field(default_factory=dict)

    def worker(self, name: str) -> Worker:
        """The worker of that name, which is started where there is none, or none any more."""
        found = self.workers.get(name)
        if found is None or found.process.poll() is not None:
            found = self.workers[name] = self._start(name)
        wait_until(found.is_ready, f"the worker {name}")
        return found

    def environment(self, folder: Path) -> dict[str, str]:
        """Of a process of the deployment, whose instance is in that folder."""
        own = {"DAGSTER_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **self.variables, **own}

    def _start(self, name: str) -> Worker:
        folder = self.folder / name
        write_instance(folder)
        log = folder / "log"
        command = [sys.executable, "-m", "celery", "-A", APP, "worker"]
        command += ["--concurrency", "1", "-n", f"{name}@%h", "--loglevel", "INFO"]
        if can_be_elsewhere():
            script = f'hostname {name} && exec "$@"'
            command = [*_ELSEWHERE, "sh", "-c", script, "sh", *command]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self.environment(folder),
            )
        return Worker(name, process, log)

    def stop(self) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.kill()

    # ---- what the webserver does

    def launch(self, name: str, **options: Any) -> str:
        """Launches a clone of the source; the run's id."""
        request = {"namespace_identifier": "prod", "namespace_name": name, **options}
        run = _recorded(self.instance, dg.reconstructable(clone_job), request, {})
        return self._launch(run)

    def again(self, run_id: str) -> str:
        """Launches a run from its failure, as its page does, and Dagster by itself where its
        worker died."""
        parent = self.instance.get_run_by_id(run_id)
        assert parent is not None
        steps, known = KnownExecutionState.build_resume_retry_reexecution(self.instance, parent)
        job = clone_job()
        run = self.instance.create_run_for_job(
            job,
            execution_plan=create_execution_plan(
                job, parent.run_config, step_keys_to_execute=steps, known_state=known
            ),
            run_config=parent.run_config,
            tags={**job.run_tags},
            parent_run_id=run_id,
            root_run_id=parent.root_run_id or run_id,
            remote_job_origin=parent.remote_job_origin,
            job_code_origin=parent.job_code_origin,
        )
        return self._launch(run)

    def _launch(self, run: dg.DagsterRun) -> str:
        self.instance.launch_run(run.run_id, cast(Any, None))
        return run.run_id

    def cancel(self, run_id: str) -> None:
        assert self.instance.run_coordinator.cancel_run(run_id)

    # ---- what the daemon does

    def look_after(self) -> None:
        """A round of Dagster's run monitoring, and of our own sensor."""
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        for record in self.instance.get_run_records(started):
            logger = logging.getLogger("monitoring")
            monitor_started_run(self.instance, cast(Any, None), record, logger)
        sensors = {made.name: made for made in policy_sensors(load_policies(None), load_settings())}
        context = dg.build_sensor_context(instance=self.instance)
        sensors["clones_in_waiting"].evaluate_tick(context)

    # ---- what people see

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def end(self, run_id: str) -> str:
        """How a run ends."""
        wait_until(lambda: self.status(run_id) in _ENDED, f"the end of {run_id}")
        return self.status(run_id).value

    def log_of(self, run_id: str) -> str:
        return "\n".join(
            (entry.dagster_event.message if entry.dagster_event else None) or entry.user_message
            for entry in self.instance.all_logs(run_id)
        )

    def steps(self, run_id: str) -> set[str]:
        """The steps that a run has done."""
        done = dg.DagsterEventType.STEP_SUCCESS
        return {str(entry.step_key) for entry in self.instance.all_logs(run_id, of_type=done)}

    def clone(self, name: str) -> dict[str, Any]:
        """What the ledger has of the newest clone of a name; nothing where there is none."""
        columns = ("status", "error", "run_id", "token", "holder_host", "clone_id")
        query = select(*(clones.c[column] for column in columns))
        query = query.where(clones.c.namespace_name == name).order_by(clones.c.created_at.desc())
        with self.stores.catalog.read() as connection:
            return dict(connection.execute(query).mappings().first() or {})

    def copied(self, name: str) -> int:
        with self.stores.catalog.read() as connection:
            return points_copied(connection, str(self.clone(name)["clone_id"]))

    def assert_whole(self, name: str, points: int) -> None:
        """Published after a full proof."""
        assert (self.clone(name)["status"], self.copied(name)) == ("ready", points)

    def wait_for_copying(self, name: str) -> str:
        """Waits for points that are being copied, until when nothing beside them is left to do;
        the host where that is."""

        def host() -> str | None:
            found = self.clone(name)
            busy = found and "clone_retrievers" in self.steps(str(found["run_id"]))
            return str(found["holder_host"]).partition("/")[0] if busy else None

        return str(wait_until(host, "points that are being copied"))


def write_instance(folder: Path) -> None:
    """The folder of an instance as it is shipped."""
    folder.mkdir(exist_ok=True)
    for file in (DEPLOYED, ROOT / "workspace.yaml"):
        shutil.copy(file, folder)
