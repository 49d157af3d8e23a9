"""Which tests are `fast`, and on how many workers tests run. Hooks of pytest, for conftest.py.

A test is `fast` unless it is `outside` or `long`. It is `outside` where it needs more than the
process that it runs in: a server, a browser, a child process, a run of Dagster; or more than half a
second. Tests that use a fixture over one are so by themselves; others carry the marker. One that
has none and starts a process fails.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import servers

FAST = "fast"
# What is asked for where nothing else is: pyproject.toml.
NOT_LONG = "not long"
# Each worker has servers of its own, about 1 GB in all.
MOST_WORKERS = 4

# Fixtures over servers.
_SERVERS = {"postgres_server", "qdrant_url", "cluster_url", "s3_url", "queue", "world", "alone"}
# Its runs take long, and start processes for their logs.
_DAGSTER = {"dagster_home", "instance"}
# Backups, restored again and again.
_LARGE = {"backed_up", "all_backed_up", "little_backed_up"}
_FIXTURES = frozenset(_SERVERS | _DAGSTER | _LARGE)
# Of the parameters of a test that runs once on each store, those that ask for such a fixture.
_STORES = frozenset({"postgresql", "server"})
_STARTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "os.system"})

_fast_test: str | None = None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: a test that is asked for by name runs at once, in this process."""
    if all("::" in argument for argument in config.args):
        return 0
    may_use = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(may_use(0)) if may_use else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Folders of tests and of their child processes are in memory where there is room: a database
    waits for the disk more than half of its time. Long tests write more than a memory has."""
    memory = servers.in_memory()
    chosen = config.option.markexpr
    if memory is not None and (chosen == FAST or NOT_LONG in chosen):
        os.environ.setdefault("TMPDIR", str(memory))
        tempfile.tempdir = None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """For `-m fast`, what is outside as a whole is not even imported."""
    if config.option.markexpr != FAST or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.outside\n" in collection_path.read_text() or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _needs_more(item):
            item.add_marker("outside")
        if not (item.get_closest_marker("outside") or item.get_closest_marker("long")):
            item.add_marker(FAST)


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: looking through it for what is not needed any more
    would take a sixth of all time."""
    gc.collect()
    gc.freeze()


def _needs_more(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    if not _FIXTURES.isdisjoint(item.fixturenames):
        return True
    return hasattr(item, "callspec") and any(
        isinstance(value, str) and value in _STORES for value in item.callspec.params.values()
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _watched(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _watched(item):
        yield


@contextmanager
def _watched(item: pytest.Item) -> Iterator[None]:
    """Not the end of a test: fixtures of others may end there."""
    global _fast_test
    _fast_test = item.nodeid if item.get_closest_marker(FAST) else None
    try:
        yield
    finally:
        _fast_test = None


def _look_out(event: str, arguments: tuple[Any, ...]) -> None:
    # multiprocessing's server of forks is only seen by the Unix socket that it listens on.
    forks = event == "socket.bind" and isinstance(arguments[1], str)
    if _fast_test and (forks or event in _STARTS):
        # Not an Exception: whoever looks whether a program is there catches those.
        pytest.fail(f"{_fast_test} needs the marker `outside`, because of {event}")


sys.addaudithook(_look_out)
