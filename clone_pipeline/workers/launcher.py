"""A run launcher that hands whole runs to Celery workers.

Dagster's own knows a worker's state from a result backend, in which a killed worker is at work for
ever; it cancels by a signal that is lost with its message, and does not say so in the record of
runs (dagster-celery 0.29.27, measured; dagster-io/dagster#23222). Here only a broker is needed:
whether a run is at work its worker is asked, and whether it is cancelled its step asks Dagster.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, pack_value
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.defaults import task_default_queue
from dagster_celery.launcher import CeleryRunLauncher, _get_run_priority
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url
from typing_extensions import Self

from clone_pipeline.core.errors import InvalidRequest, StoreUnavailable
from clone_pipeline.core.ledger.lease_timing import LEASE_SECONDS

# A broker tells each of its workers at once; one that does not answer by then is away.
_ANSWER_SECONDS = 2.0

# Eight days: longer than a run may take (`max_runtime_seconds`). Redis delivers again what is not
# done by then; what was delivered twice Dagster does not run twice.
_VISIBILITY_SECONDS = 691_200

_SETTINGS: dict[str, Any] = {
    # A run counts against what its worker may hold back until it is over: it never waits behind
    # another one while some worker is idle.
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_ignore_result": True,
    # As the launcher for one machine does it: nothing of one run is left to the next.
    "worker_max_tasks_per_child": 1,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "visibility_timeout": _VISIBILITY_SECONDS,
        "max_retries": 3,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
}


class CeleryLauncher(CeleryRunLauncher):
    """For `run_launcher` in dagster.yaml. Its workers: `celery -A clone_pipeline.workers.app`."""

    def __init__(
        self,
        broker: str,
        default_queue: str = task_default_queue,
        config_source: Mapping[str, Any] | None = None,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        given = dict(config_source or {})
        transport = _SETTINGS["broker_transport_options"] | given.get(
            "broker_transport_options", {}
        )
        settings = _SETTINGS | given | {"broker_transport_options": transport}
        super().__init__(
            default_queue=default_queue,
            broker=broker,
            config_source=settings,
            inst_data=inst_data,
        )
        # When a run was first not found with any worker, by the clock of this process.
        self._missed: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> Any:
        return {
            "broker": dg.Field(
                dg.StringSource, description="URL of the broker, Redis or RabbitMQ."
            ),
            "default_queue": dg.Field(
                dg.StringSource,
                is_required=False,
                default_value=task_default_queue,
                description="The queue of runs that have no tag `dagster-celery/queue`.",
            ),
            "config_source": dg.Field(
                dg.Noneable(dict),
                is_required=False,
                description="More settings of the Celery app; they go before this launcher's.",
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @property
    def _away(self) -> tuple[type[BaseException], ...]:
        """What is raised where the broker cannot be asked, whichever it is."""
        connection = self.celery.connection_for_write()
        others = (*connection.connection_errors, *connection.channel_errors)
        return (OperationalError, OSError, *others)

    @property
    def address(self) -> str:
        """The broker's URL without its password; of several, as Celery separates them."""
        return ";".join(str(maybe_sanitize_url(one)) for one in (self.broker or "").split(";"))

    def launch_run(self, context: LaunchRunContext) -> None:
        """Raises StoreUnavailable where the broker cannot be reached, InvalidRequest for a run that
        nobody could make: it fails with that."""
        run = context.dagster_run
        queue = run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)
        if run.job_code_origin is None:
            raise InvalidRequest(f"The run {run.run_id} does not say where its job is.")
        args = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        task_id = str(uuid.uuid4())
        # Before a worker can have it: who cancels or looks after the run finds the task by this.
        self._instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: task_id})
        try:
            self.celery.send_task(
                TASK_EXECUTE_JOB_NAME,
                kwargs={"execute_job_args_packed": pack_value(args)},
                task_id=task_id,
                queue=queue,
                routing_key=f"{queue}.{TASK_EXECUTE_JOB_NAME}",
                priority=_get_run_priority(run),
            )
            self._tell(run, f"Handed to the Celery workers on {self.address}, queue {queue}.")
            if not self.celery.control.ping(timeout=_ANSWER_SECONDS, limit=1):
                self._tell(run, self._nobody())
        except self._away as error:
            raise StoreUnavailable(
                f"The Celery broker {self.address} cannot be reached: {error}; the run was not "
                "begun, launch it again."
            ) from None

    def terminate(self, run_id: str) -> bool:
        """Says in the record of runs that it is cancelled, which the step at work looks at every
        few seconds, on whichever machine; a worker that has not begun it will not."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is not None:
            with suppress(*self._away):  # the record is what counts
                self.celery.control.revoke(task_id)
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where no worker has had the run for as long as a lease lasts: a broker that is
        restarted, and workers that come back to it, take less."""
        try:
            at_work = self._is_at_work(run.tags.get(DAGSTER_CELERY_TASK_ID_TAG, ""))
        except self._away as error:
            logging.getLogger(__name__).warning("The broker %s: %s", self.address, error)
            at_work = True  # nobody can be asked
        if at_work:
            self._missed.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._missed.setdefault(run.run_id, time.monotonic())
        if time.monotonic() - since < LEASE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._missed[run.run_id]
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "No Celery worker has it any more: its worker was killed."
        )

    def _is_at_work(self, task_id: str) -> bool:
        found = self.celery.control.inspect(timeout=_ANSWER_SECONDS).active() or {}
        return any(task["id"] == task_id for tasks in found.values() for task in tasks)

    def get_run_worker_debug_info(
        self, run: dg.DagsterRun, include_container_logs: bool | None = True
    ) -> str | None:
        """What Dagster adds to its own sentence when a run does not start or end in time."""
        try:
            if self.celery.control.ping(timeout=_ANSWER_SECONDS, limit=1):
                return None
        except self._away as error:
            return f"The Celery broker {self.address} cannot be reached: {error}."
        return self._nobody()

    def _nobody(self) -> str:
        return (
            f"No Celery worker answers on {self.address}: start one with "
            "`celery -A clone_pipeline.workers.app worker`."
        )

    def _tell(self, run: dg.DagsterRun, sentence: str) -> None:
        self._instance.report_engine_event(sentence, run, cls=type(self))
