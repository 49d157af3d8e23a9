"""`clone-pipeline serve` as a process, in a newcomer's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from clone_pipeline_tests.ui.dev import ROOT, Project, wait_until

CALL = "from clone_pipeline.cli import main; main()"
OVER = ("ready", "failed")


@dataclass
class Live:
    """A running `serve`. `api_key` is an admin's of the project's only organization."""

    project: Project
    process: subprocess.Popen[bytes]
    url: str
    dagster_url: str
    api_key: str
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def is_ready(self) -> bool:
        try:
            return self.client.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def clone(self, source: str, name: str, **more: Any) -> dict[str, Any]:
        """The answer to an accepted request; where Dagster is not up yet it is made again."""

        def accepted() -> Any:
            body = {"namespace_name": name, **more}
            answer = self.client.post(f"/v1/namespaces/{source}/clone", json=body)
            assert answer.status_code in (200, 503), answer.text
            return answer.json() if answer.is_success else None

        document: dict[str, Any] = wait_until(accepted, f"{name} to be accepted")
        return document

    def namespace(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self.client.get(f"/v1/namespaces/{name}").json()
        return document

    def task(self, task_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.client.get(f"/v1/tasks/{task_id}").json()
        return document

    def wait_for_points(self, name: str) -> None:
        """Until the clone is in the middle of its points."""

        def copied() -> bool:
            now = self.namespace(name)
            assert now["clone_status"] == "cloning", now
            return bool(now["cloned_resources"]["points"])

        wait_until(copied, f"{name} to have its first points")

    def wait_for_the_end(self, name: str) -> dict[str, Any]:
        def ended() -> Any:
            now = self.namespace(name)
            return now if now.get("clone_status") in OVER else None

        document: dict[str, Any] = wait_until(ended, f"the end of {name}")
        return document

    def dagster(self, name: str) -> psutil.Process:
        """One of Dagster's processes, by what stands in its command line."""
        children = psutil.Process(self.process.pid).children()
        return next(one for one in children if name in one.cmdline())

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def serving(
    project: Project, api_key: str | None = None, *arguments: str, **env: str
) -> Iterator[Live]:
    """`serve` on free ports of loopback; at the end it is stopped with SIGTERM, and all of its
    processes must be gone."""
    key = api_key or project.cli("keys", "create", "--role", "admin")["api_key"]
    log = project.folder / "serve.log"
    command = [sys.executable, "-c", CALL, "serve", "--port", "0", "--ui-port", "0", "--json"]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=project.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **project.env, **env, "PYTHONPATH": str(ROOT)},
        )
    try:
        assert process.stdout is not None
        said = b""
        for line in process.stdout:
            said += line
            if line.startswith(b"}"):
                break
        assert process.poll() is None, log.read_text()
        where = json.loads(said)
        live = Live(project, process, where["url"], where["dagster_url"], key)
        try:
            yield live
        finally:
            live.client.close()
            if process.poll() is None:
                family = live.family()
                process.terminate()
                assert process.wait(120) == 0, log.read_text()
                assert not [one for one in family if one.is_running()], log.read_text()
    finally:
        if process.stdout is not None:
            process.stdout.close()
        if process.poll() is None:
            process.kill()
        process.wait()
