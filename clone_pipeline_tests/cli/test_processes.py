"""The command as a process of its own: exit codes, pipes, signals, and steps in many processes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.report import STEPS
from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS

pytestmark = pytest.mark.outside

COMMAND = [sys.executable, "-c", "from clone_pipeline.cli import main; main()"]
_DEADLINE = 120.0
# What Python says of an exception that it cannot raise, as in the callback of a weak reference.
_DROPPED = "Exception ignored in"


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=_DEADLINE)
    finally:
        process.kill()
    assert "Traceback" not in err
    return process.returncode, out, err


def test_exit_codes_are_those_of_the_contract(home: Path) -> None:
    good = start("list", "--json")
    bad = start("clone", "prod", "prod")
    failed = start("list", CATALOG_URL="postgresql://u@127.0.0.1:1/db", CLONE_PIPELINE_API_KEY="sk")
    code, out, err = ended(good)
    assert (code, len(json.loads(out)), err) == (0, 5, "")
    code, out, err = ended(bad)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    code, out, err = ended(failed)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "cannot be reached" in err


def test_a_reader_that_leaves_early_is_no_error(home: Path) -> None:
    process = start("list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(_DEADLINE) in (0, 1)
    assert process.stderr is not None
    with process.stderr as stderr:
        assert stderr.read() == ""


@pytest.mark.long
def test_a_clone_that_is_interrupted_says_so_and_can_be_resumed(home: Path) -> None:
    process = start("clone", "prod", "new", "--json")
    _wait_for_a_clone(home)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=_DEADLINE)
    code = process.returncode
    if code == 0 and _DROPPED in err:
        pytest.skip("Python dropped the interrupt, which came in a callback of its own")
    if code == 0:
        pytest.skip("the clone was done before the signal came")
    assert "Traceback" not in err
    assert code == 1
    assert json.loads(out)["error"]["message"]
    assert err.splitlines()[-1].startswith("Error: ")
    code, out, _ = ended(start("resume", "new", "--json"))
    assert code == 0
    assert counted(home, "new") == {**COUNTS, "taxonomies": 0}


@pytest.mark.usefixtures("home")
def test_a_terminal_shows_bars_for_the_copy_and_for_the_proof() -> None:
    """Dagster sends a step's stderr into a file meanwhile."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "clone", "prod", "new"], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65536):
            seen += part
    except OSError:
        pass  # what Linux says when the other side is closed
    os.close(ours)
    assert process.wait(_DEADLINE) == 0
    assert re.search(rb"Copied +[^ ]+ .*5/5", seen)
    assert re.search(rb"Proved +[^ ]+ .*5/5", seen)
    assert b"clone_buckets: " not in seen  # that is for where there is no terminal


def _wait_for_a_clone(home: Path) -> None:
    """Until the ledger knows of it."""
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        with sqlite3.connect(home / "catalog.db") as connection:
            query = "SELECT count(*) FROM clones WHERE namespace_name = 'new'"
            if connection.execute(query).fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("the clone was not begun")


@pytest.mark.long
def test_each_step_may_be_a_process_of_its_own(home: Path, dagster_home: Path) -> None:
    code, out, err = ended(
        start("clone", "prod", "new", "--taxonomies", "--json", CLONE_EXECUTOR="multiprocess")
    )
    assert code == 0, err
    response = json.loads(out)
    assert response["cloned_resources"] == COUNTS == counted(home, "new")
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        events = instance.all_logs(response["task_id"])
    started = [
        event
        for event in events
        if event.dagster_event and event.dagster_event.event_type_value == "STEP_WORKER_STARTED"
    ]
    assert len(started) == len(STEPS)


@pytest.mark.long
def test_the_demo_is_answered_with_what_is_in_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(start("demo", "--json"))
    assert code == 0, err
    response = json.loads(out)
    assert response["status"] == "ready"
    home = tmp_path / ".clone_pipeline"
    name = response["namespace"]["namespace_name"]
    assert response["cloned_resources"] == counted(home, name)
    assert "gave the same results as in the source" in err
