"""Dagster for a deployment that has none: code server, webserver and daemon as child processes.

Each is started again when it ends, after a pause that grows. Runs are children of the code server,
so the webserver and the daemon may go and come back while a clone is made.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.private import make_folder
from clone_pipeline.launch import LOCATION, instance_folder, open_instance
from clone_pipeline.settings import Settings

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"  # the UI has no login
_CHECK_SECONDS = 0.5
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
# A process that lived this long had started well: its next pause is a short one again.
_GOOD_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass
class Child:
    """One process that has to run."""

    name: str
    arguments: list[str]
    log: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    pause: float = _SHORTEST_PAUSE
    started: float = 0.0
    due: float = field(default_factory=time.monotonic)

    def look_after(self) -> None:
        """Starts it when it does not run and its pause is over."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return
            logger.warning(
                "Dagster's %s ended (code %s); its log is %s.",
                self.name,
                self.process.returncode,
                self.log,
            )
            self.pause = (
                _SHORTEST_PAUSE
                if now - self.started > _GOOD_SECONDS
                else min(_LONGEST_PAUSE, self.pause * 2)
            )
            self.process, self.due = None, now + self.pause
        if now >= self.due:
            self._start(now)

    def _start(self, now: float) -> None:
        command = [sys.executable, "-m", "clone_pipeline.api.child", *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                # A Ctrl-C is for us; we stop them in order.
                start_new_session=True,
            )
        self.started = now

    def stop(self) -> None:
        """Asks it to end, and everything that it has started: a run that hears of it records that
        it was cancelled. Insists where one does not end."""
        if self.process is None or self.process.poll() is not None:
            return
        parent = psutil.Process(self.process.pid)
        family = [*parent.children(recursive=True), parent]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        _, left = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()


@contextmanager
def supervised(settings: Settings, ui_port: int) -> Iterator[str]:
    """The URL of a Dagster webserver that runs as long as the block does, with its daemon.

    Raises InvalidRequest where another process supervises the same folder, or the port is taken.
    """
    folder = settings.home.absolute() / "serve"
    make_folder(folder)
    with ExitStack() as stack:
        lock = FileLock(folder / ".lock")
        try:
            stack.enter_context(lock.acquire(timeout=0))
        except Timeout:
            raise InvalidRequest(
                f"Another `clone-pipeline serve` runs in {settings.home}; stop it first."
            ) from None
        # Made here, because Dagster's processes must not make it at the same moment.
        open_instance(settings).dispose()
        port = _free_port(ui_port)
        children = _children(settings, folder, port)
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(children, stop), name="dagster")
        watcher.start()
        try:
            yield f"http://{HOST}:{port}"
        finally:
            stop.set()
            watcher.join()
            # The daemon first, so that nothing new begins; the runs end with the code server.
            for child in reversed(children):
                child.stop()


def _watch(children: list[Child], stop: threading.Event) -> None:
    while True:
        for child in children:
            try:
                child.look_after()
            except OSError as error:
                logger.error("Dagster's %s cannot be started: %s", child.name, error)
        if stop.wait(_CHECK_SECONDS):
            return


def _children(settings: Settings, folder: Path, ui_port: int) -> list[Child]:
    code_port = _free_port(0)
    workspace = folder / "workspace.yaml"
    server = {"host": HOST, "port": code_port, "location_name": LOCATION}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    code = ["dagster", "code-server", "start", "-m", "clone_pipeline.definitions"]
    arguments = {
        "code server": [*code, "-h", HOST, "-p", str(code_port), "--location-name", LOCATION],
        "webserver": ["dagster_webserver", "-h", HOST, "-p", str(ui_port), "-w", str(workspace)],
        "daemon": ["dagster._daemon", "run", "-w", str(workspace)],
    }
    env = os.environ | {"DAGSTER_HOME": str(instance_folder(settings).absolute())}
    children = []
    for name, given in arguments.items():
        log = folder / f"{name.replace(' ', '_')}.log"
        log.write_bytes(b"")
        children.append(Child(name, given, log, env))
    return children


def _free_port(wanted: int) -> int:
    """The port, if it is free; 0 means any. Raises InvalidRequest."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            raise InvalidRequest(
                f"Port {wanted} is taken; choose another one for Dagster's UI with --ui-port, or "
                "set DAGSTER_WEBSERVER_URL to use the Dagster that runs there."
            ) from None
        return int(probe.getsockname()[1])
