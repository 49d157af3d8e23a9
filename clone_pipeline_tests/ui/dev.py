"""A project folder as a newcomer has it, with `dagster dev` in it and GraphQL to talk to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from clone_pipeline_tests import forks
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.sources import write_bundle

ROOT = Path(__file__).parents[2]
SELECTOR = {
    "repositoryLocationName": "clone_pipeline",
    "repositoryName": "__repository__",
}
_DEADLINE = 900.0


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition; the deadline only ends a test that hangs."""
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.5)
    pytest.fail(f"Waited {_DEADLINE:.0f} s in vain: {what}.")


@dataclass(frozen=True)
class Project:
    """A folder with the project's two Dagster files; DAGSTER_HOME is unset."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, **env: str) -> Project:
        folder.mkdir()
        for name in ("workspace.yaml", "dagster.yaml"):
            shutil.copy(ROOT / name, folder)
        return cls(folder, env)

    @property
    def home(self) -> Path:
        return self.folder / ".clone_pipeline"

    def cli(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        call = "from clone_pipeline.cli import main; main()"
        env = {**os.environ, **self.env}
        done = forks.server().run(call, *arguments, "--json", cwd=self.folder, env=env)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def load_source(self, points: int) -> None:
        """A namespace `prod` with so many points, all of its one collection."""
        files = sample()
        files["points.jsonl"] = [
            {"id": n, "vector": {"text": [n, 1.0, 2.0]}, "payload": {"collection_id": "col_1"}}
            for n in range(points)
        ]
        self.cli("load", str(write_bundle(self.folder / "bundle", files)))

    @contextmanager
    def dagster_dev(self) -> Iterator[Dev]:
        """`dagster dev` on a free port of loopback; at the end it is stopped with SIGTERM, and
        all of its processes must be gone."""
        port = _free_port()
        log = self.folder / f"dagster_dev_{port}.log"
        command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self.env, "PYTHONPATH": str(ROOT)},
            )
        dev = Dev(port, log)
        try:
            wait_until(lambda: process.poll() is not None or dev.answers(), "the UI's answer")
            assert process.poll() is None, log.read_text()
            yield dev
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(_DEADLINE)
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left, f"dagster dev left processes behind: {left}"
    finally:
        for one in (process, *family):
            if one.poll() is None if isinstance(one, subprocess.Popen) else one.is_running():
                one.kill()


@dataclass(frozen=True)
class Dev:
    """A running `dagster dev`."""

    port: int
    log: Path

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                return True
        except OSError:
            return False

    def launch(self, job: str = "clone_namespace", **request: Any) -> str:
        """Launches a job as the Launchpad does; returns the run's id."""
        found = self.query(
            """
            mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
              __typename ... on LaunchRunSuccess { run { runId } }
            } }
            """,
            params={"selector": {**SELECTOR, "jobName": job}, "runConfigData": request},
        )["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def again_from_failure(self, run_id: str) -> str:
        """Launches a run anew from its failure, as its page does; returns the new run's id."""
        found = self.query(
            """
            mutation($params: ReexecutionParams!) {
              launchRunReexecution(reexecutionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } }
              }
            }
            """,
            params={"parentRunId": run_id, "strategy": "FROM_FAILURE"},
        )["launchRunReexecution"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Cancels a run as its page does."""
        found = self.query(
            "mutation($run: String!) { terminateRun(runId: $run) { __typename } }", run=run_id
        )
        assert found["terminateRun"]["__typename"] == "TerminateRunSuccess", found

    def wait_for_status(self, run_id: str, status: str) -> None:
        def ended() -> str | None:
            now = self.runs()[run_id]
            return now if now in ("SUCCESS", "FAILURE", "CANCELED") else None

        now = wait_until(ended, f"the end of the run {run_id}")
        assert now == status, self.log.read_text()

    def query(self, text: str, **variables: Any) -> Any:
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        assert "errors" not in document, document["errors"]
        return document["data"]

    def runs(self) -> dict[str, str]:
        """The status of every run in the history, by its id."""
        found = self.query("{runsOrError{... on Runs{results{runId status}}}}")
        return {run["runId"]: run["status"] for run in found["runsOrError"]["results"]}

    def runs_of_policy(self, name: str) -> list[str]:
        """The status of each run that a policy has started, newest first."""
        found = self.query(
            """
            query($filter: RunsFilter!) { runsOrError(filter: $filter) {
              ... on Runs { results { status } }
            } }
            """,
            filter={"tags": [{"key": "clone/policy", "value": name}]},
        )
        return [run["status"] for run in found["runsOrError"]["results"]]

    def metadata(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Each step's output metadata: numbers and texts as they are, tables as their rows."""
        found = self.query(
            """
            query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection {
              events { ... on ExecutionStepOutputEvent { stepKey metadataEntries {
                label
                ... on IntMetadataEntry { intValue }
                ... on FloatMetadataEntry { floatValue }
                ... on TextMetadataEntry { text }
                ... on TableMetadataEntry { table { records } }
              } } } } } } }
            """,
            run=run_id,
        )
        events = found["runOrError"]["eventConnection"]["events"]
        return {
            event["stepKey"]: {entry["label"]: _value(entry) for entry in event["metadataEntries"]}
            for event in events
            if event
        }

    def materializations(self, *key: str) -> list[dict[str, Any]]:
        """The metadata of each materialization of an asset, newest first."""
        found = self.query(
            """
            query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
              assetMaterializations { metadataEntries {
                label
                ... on IntMetadataEntry { intValue }
                ... on FloatMetadataEntry { floatValue }
                ... on TextMetadataEntry { text }
              } } } } }
            """,
            key={"path": list(key)},
        )
        return [
            {entry["label"]: _value(entry) for entry in one["metadataEntries"]}
            for one in found["assetOrError"]["assetMaterializations"]
        ]

    def checks(self, *key: str) -> dict[str, str]:
        """What each check of an asset said last; "" where it has not been evaluated yet."""
        found = self.query(
            """
            query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
              assetChecksOrError { ... on AssetChecks { checks {
                name executionForLatestMaterialization { status }
              } } } } } }
            """,
            key={"path": list(key)},
        )["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return {
            one["name"]: (one["executionForLatestMaterialization"] or {"status": ""})["status"]
            for one in found
        }

    def start_schedule(self, name: str) -> None:
        """Switches it on, as on its page."""
        found = self.query(
            """
            mutation($it: ScheduleSelector!) { startSchedule(scheduleSelector: $it) { __typename } }
            """,
            it={**SELECTOR, "scheduleName": name},
        )
        assert found["startSchedule"]["__typename"] == "ScheduleStateResult", found

    def stop_schedule(self, name: str) -> None:
        """Switches it off, as on its page."""
        found = self.query(
            """
            query($it: ScheduleSelector!) { scheduleOrError(scheduleSelector: $it) {
              ... on Schedule { scheduleState { id } }
            } }
            """,
            it={**SELECTOR, "scheduleName": name},
        )
        found = self.query(
            "mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }",
            id=found["scheduleOrError"]["scheduleState"]["id"],
        )
        assert found["stopRunningSchedule"]["__typename"] == "ScheduleStateResult", found

    def looks(self, sensor: str) -> int:
        """How many ticks of a sensor have come to an end."""
        found = self.query(
            """
            query($it: SensorSelector!) { sensorOrError(sensorSelector: $it) { ... on Sensor {
              sensorState { ticks { status } }
            } } }
            """,
            it={**SELECTOR, "sensorName": sensor},
        )["sensorOrError"]["sensorState"]["ticks"]
        return sum(tick["status"] in ("SUCCESS", "SKIPPED") for tick in found)

    def reload(self) -> None:
        """Loads the code location anew, as the button on the page Deployment does."""
        found = self.query(
            """
            mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
              ... on WorkspaceLocationEntry { loadStatus } ... on PythonError { message }
            } }
            """,
            name=SELECTOR["repositoryLocationName"],
        )
        assert found["reloadRepositoryLocation"]["loadStatus"] == "LOADED", found

    def declared_assets(self) -> list[list[str]]:
        found = self.query("{assetNodes{assetKey{path}}}")
        return [node["assetKey"]["path"] for node in found["assetNodes"]]


def _value(entry: dict[str, Any]) -> Any:
    if "table" in entry:
        return [json.loads(record) for record in entry["table"]["records"]]
    return next((entry[key] for key in ("intValue", "floatValue", "text") if key in entry), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
