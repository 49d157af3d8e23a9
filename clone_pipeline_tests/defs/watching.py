"""A sensor of a refresh policy, tick after tick, and the runs that it asks for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import dagster as dg

from clone_pipeline.defs.sensors import policy_sensors
from clone_pipeline.launch import clone_job
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.policies.files import refresh, written

# Not a measure of speed: it ends a test that hangs.
_PATIENCE = 60.0
UNCHANGED = "The source has not changed since it was copied."


def sensors(folder: Path, **more: Any) -> dict[str, dg.SensorDefinition]:
    policies = written(folder, refreshes=[refresh(**more)])
    return {made.name: made for made in policy_sensors(policies, load_settings())}


class Watching:
    """One sensor and its cursor, tick after tick."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, **more: Any) -> None:
        self.sensor = sensors(folder, **more)["staging_refresh_follow"]
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> Any:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data

    def skipped(self) -> str:
        data = self.tick()
        assert not data.run_requests
        return str(data.skip_message)

    def asked(self) -> dg.RunRequest:
        (asked,) = self.tick().run_requests
        return asked

    def asks_at_last(self) -> dg.RunRequest:
        """While writes wait to be applied, a server does not tell of them."""
        deadline = time.monotonic() + _PATIENCE
        while not (asked := self.tick().run_requests):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (one,) = asked
        return one

    def run(self, asked: dg.RunRequest) -> dg.JobExecutionResult:
        return dg.execute_job(
            dg.reconstructable(clone_job),
            instance=self.instance,
            run_config=dict(asked.run_config),
            tags=dict(asked.tags),
            raise_on_error=False,
        )
