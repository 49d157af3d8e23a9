"""Python processes that begin where the imports are done: most of a short one's time is Dagster's.

A server imports one module, in an environment of its own, and does nothing else. Each process that
is asked for is forked from it and is then like one that was started as `python -c`: with its own
environment, folder, output and process group, its own end, and nothing open that it was not given.
What is about the start itself, or about what is said while something is imported, starts a Python.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any

ROOT = Path(__file__).parents[1]
_LENGTH = 8


class Forked:
    """A process of a server of forks: what tests need of `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], said: int) -> None:
        self._args, self._said = args, os.fdopen(said, encoding="ascii")
        self._code: int | None = None
        first = self._said.readline()
        if not first:
            self._said.close()
            raise RuntimeError(f"the server of forks could not start {args}")
        self.pid = int(first)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; raises subprocess.TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self._args), timeout or 0.0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self._code is None and select.select([self._said], [], [], timeout)[0]:
            with self._said:
                self._code = int(self._said.readline())
        return self._code


class Server:
    """Has imported `ground` when the first process begins. `env` is all of its environment."""

    def __init__(self, ground: str, env: dict[str, str]) -> None:
        self._asking, theirs = socket.socketpair()
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), ground],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self.close)

    def start(
        self, code: str, *args: str, cwd: Path, env: dict[str, str], out: IO[Any], err: IO[Any]
    ) -> Forked:
        """As `python -c code args`, with nothing to read; `env` is all of its environment."""
        sys.audit("os.fork")  # for selection.py: the test is none of the fast ones
        job = json.dumps({"code": code, "args": args, "cwd": str(cwd), "env": env}).encode()
        ours, theirs = os.pipe()
        try:
            with self._turn:
                files = [out.fileno(), err.fileno(), theirs]
                socket.send_fds(self._asking, [len(job).to_bytes(_LENGTH, "big")], files)
                self._asking.sendall(job)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return Forked([code, *args], ours)

    def run(
        self, code: str, *args: str, cwd: Path, env: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """The same to its end."""
        with TemporaryFile() as out, TemporaryFile() as err:
            code_of_exit = self.start(code, *args, cwd=cwd, env=env, out=out, err=err).wait()
            said = []
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess([code, *args], code_of_exit, *said)

    def close(self) -> None:
        """No process begins any more; those that run go on."""
        atexit.unregister(self.close)
        self._asking.close()
        self._process.wait()


@cache
def server() -> Server:
    """One for all tests of this process, with the product and Dagster."""
    return Server("clone_pipeline_tests.ground", environment())


def environment(**more: str) -> dict[str, str]:
    """What every program needs of the developer's environment, and `more`."""
    given = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    return {**given, "PYTHONPATH": str(ROOT), **more}


# ---- in the server -----------------------------------------------------------------------------


def _serve(asked: socket.socket, ground: str) -> None:
    # What a test's process ignores or keeps waiting is handed down, also to a program it starts.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import_module(ground)
    gc.collect()
    gc.freeze()
    while True:
        length, files, _, _ = socket.recv_fds(asked, _LENGTH, 3)
        _take_leave()
        if not length:
            return
        job = json.loads(asked.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        if os.fork() == 0:
            asked.close()
            return _begin(job, *files)
        for file in files:
            os.close(file)


def _take_leave() -> None:
    """Of those that have waited."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _begin(job: dict[str, Any], out: int, err: int, saying: int) -> None:
    """The process, and another one that waits for it."""
    pid = os.fork()
    if pid:
        os.setpgid(pid, pid)  # before anybody knows of it
        for file in (out, err):
            os.close(file)
        os.dup2(0, 2)  # it may outlive whoever reads what the tests say
        os.write(saying, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(saying, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.setpgid(0, 0)
    os.close(saying)
    for file, number in ((out, 1), (err, 2)):
        os.dup2(file, number)
        os.close(file)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = ["-c", *job["args"]]
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(job["code"], vars(main))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
