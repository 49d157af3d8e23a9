"""Processes that are forked are like those that are started: each has its own of everything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline_tests.forks import Forked, Server

pytestmark = pytest.mark.outside

# Which process has imported it.
_GROUND = "import os\nhere = os.getpid()\n"
_PROGRAM = """
import atexit, json, os, sys, time
import ground

atexit.register(print, "over", file=sys.stderr)
own = [os.getpid(), os.getpgrp(), sys.argv[1:], os.getcwd(), dict(os.environ)]
print(json.dumps([__name__, ground.here, *own]), flush=True)
if sys.argv[1] == "stay":
    time.sleep(600)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    (folder / "ground.py").write_text(_GROUND)
    server = Server("ground", {"PYTHONPATH": str(folder), "ONLY": "of the server"})
    try:
        yield server
    finally:
        server.close()


def start(server: Server, folder: Path, *arguments: str) -> Forked:
    folder.mkdir()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        env = {"FOLDER": folder.name}
        return server.start(_PROGRAM, *arguments, cwd=folder, env=env, out=out, err=err)


def said(folder: Path) -> list[Any]:
    document: list[Any] = json.loads((folder / "out").read_text())
    return document


def test_each_has_its_own_arguments_folder_environment_output_group_and_end(
    server: Server, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    processes = [start(server, folder, str(code)) for code, folder in enumerate(folders)]
    assert [process.wait(60) for process in processes] == [0, 1]
    assert [process.poll() for process in processes] == [0, 1]
    (imported,) = {said(folder)[1] for folder in folders}
    for code, (folder, process) in enumerate(zip(folders, processes, strict=True)):
        pid, env = process.pid, {"FOLDER": folder.name}
        assert said(folder) == ["__main__", imported, pid, pid, [str(code)], str(folder), env]
        assert (folder / "err").read_text() == "over\n"
        assert pid != imported


def test_one_that_is_killed_says_so_and_the_others_go_on(server: Server, tmp_path: Path) -> None:
    staying, other = (start(server, tmp_path / name, "stay") for name in ("one", "two"))
    assert staying.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        staying.wait(0.01)
    os.killpg(staying.pid, signal.SIGKILL)
    assert staying.wait(60) == -signal.SIGKILL
    assert other.poll() is None
    server.close()
    assert other.poll() is None
    os.killpg(other.pid, signal.SIGTERM)
    assert other.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("blocked", [True, False])
def test_one_hears_signals_whatever_the_tests_do_with_theirs(blocked: bool, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL if blocked else signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM] if blocked else [])
    try:
        with serving(tmp_path) as server:
            staying = start(server, tmp_path / "one", "stay")
            os.killpg(staying.pid, signal.SIGTERM)
            assert staying.wait(60) == -signal.SIGTERM
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)


def test_what_one_has_said_is_told_with_its_end(server: Server, tmp_path: Path) -> None:
    done = server.run(_PROGRAM, "7", cwd=tmp_path, env={"FOLDER": "here"})
    assert (done.returncode, done.stderr) == (7, "over\n")
    assert json.loads(done.stdout)[-1] == {"FOLDER": "here"}


def test_a_mistake_ends_one_with_a_traceback(server: Server, tmp_path: Path) -> None:
    done = server.run("1 / 0", cwd=tmp_path, env={})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_server_that_could_not_import_starts_nothing(tmp_path: Path) -> None:
    server = Server("nowhere_to_be_found", {"PYTHONPATH": str(tmp_path)})
    try:
        with pytest.raises((RuntimeError, OSError)):
            start(server, tmp_path / "one", "0")
    finally:
        server.close()
