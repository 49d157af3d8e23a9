"""A data folder of its own, and the real command line in processes of their own, which are forked
from one that has done the imports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import forks, harness

from .ticks import VARIABLE

_PATIENCE = 240.0
_RUNS = "from clone_pipeline_tests.faults.{} import run; run()"


@dataclass(frozen=True)
class Outcome:
    """How a process ended; `code` is negative for a signal."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line that begins with `Error:`; there must be one, and no traceback."""
        assert "Traceback" not in self.err, self.err
        said = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(said) == 1, self.err
        return said[0].removeprefix("Error: ")


@dataclass(frozen=True)
class Process:
    """A command that runs, in a process group of its own."""

    popen: forks.Forked
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def end(self) -> Outcome:
        """Waits for its end."""
        code = self.popen.wait(timeout=_PATIENCE)
        return Outcome(
            code,
            self.log.with_suffix(".out").read_text(),
            self.log.with_suffix(".err").read_text(),
        )

    def kill(self) -> Outcome:
        """`kill -9` of the whole process group."""
        if self.popen.poll() is None:
            with suppress(ProcessLookupError):  # it has ended this very moment
                os.killpg(self.pid, signal.SIGKILL)
        return self.end()


@dataclass(frozen=True)
class Place:
    """`env` names other stores than the embedded ones below this folder."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return Path(self.env.get("CLONE_PIPELINE_HOME", self.folder / "home"))

    def start(
        self,
        *arguments: str,
        env: dict[str, str] | None = None,
        module: str = "driver",
        **faults: Any,
    ) -> Process:
        """The command line with these arguments; with another `module`, that one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"log-{time.monotonic_ns()}"
        with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
            popen = forks.server().start(
                _RUNS.format(module),
                *arguments,
                cwd=self.folder,
                env={
                    **forks.environment(CLONE_PIPELINE_HOME=str(self.home)),
                    **self.env,
                    **(env or {}),
                    VARIABLE: json.dumps(faults),
                },
                out=out,
                err=err,
            )
        return Process(popen, log)

    def run(self, *arguments: str, env: dict[str, str] | None = None, **faults: Any) -> Outcome:
        return self.start(*arguments, env=env, **faults).end()

    def start_child(self, name: str, faults: dict[str, Any], **options: Any) -> Process:
        """The clone of that name, begun or gone on with, without Dagster."""
        return self.start(json.dumps({"name": name, **options}), module="child", **faults)

    def good(self, *arguments: str) -> Outcome:
        """Runs a command that must end well."""
        outcome = self.run(*arguments)
        assert outcome.code == 0, outcome
        return outcome

    def json(self, *arguments: str) -> Any:
        return json.loads(self.good(*arguments, "--json").out)

    def copy(self, folder: Path) -> Place:
        """Another place with the same data."""
        shutil.copytree(self.home, folder / "home")
        return Place(folder, self.env)

    @contextmanager
    def stores(self) -> Iterator[Stores]:
        with harness.open_stores(self.home, self.env.get("CATALOG_URL")) as stores:
            address = replace(stores.vector_address, url=self.env.get("QDRANT_URL"))
            yield replace(stores, vector_address=address, files=files_of(self.env))


def files_of(environment: Mapping[str, str]) -> FilesAddress:
    """The S3 that the variables name, and where copies of files go."""
    return FilesAddress(
        endpoint_url=environment.get("S3_ENDPOINT_URL"),
        bucket=environment.get("CLONE_FILES_BUCKET"),
        prefix=environment.get("CLONE_FILES_PREFIX", ""),
    )


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Waits for a condition. The deadline is for a test that hangs, not a measure of speed."""
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
