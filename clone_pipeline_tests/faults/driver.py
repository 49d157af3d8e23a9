"""The real command line in a process of its own, with a fault to come at a given moment.

    FAULTS='{"kill_at": 17}' python -m clone_pipeline_tests.faults.driver clone SOURCE NAME

The process counts what it does to the stores ("ticks", each named `step:what:when`) and, where the
fault says so, dies, waits or fails at one of them. Fields of FAULTS, all optional:

  kill_at     die at the n-th tick (SIGKILL: nothing is cleaned up)
  kill        [name, n]: die at the n-th tick of that name
  fail        [name, n]: raise an unexpected error there
  wait        {name: path}: at that tick, say so (`path` + ".reached") and wait until `path` exists
  wait_at     [name, n, path]: the same, at the n-th tick of that name
  retry       a path: no step is tried again before it exists
  record      a file that gets the name of every tick
  page        points on a page, and so between two checkpoints
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from clone_pipeline import step as job_step
from clone_pipeline.cli.main import main
from clone_pipeline.core import reserve, steps
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.server import ServerStore

from .place import VARIABLE

_PATIENCE = 120.0


class Ticks:
    """Counts moments, and lets happen what was asked for at one of them."""

    def __init__(self, faults: dict[str, Any]) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._count = 0
        self.step = "outside"

    def name(self, what: str) -> str:
        return f"{self.step}:{what}"

    def tick(self, what: str) -> None:
        name = self.name(what)
        with self._lock:
            self._count += 1
            self._seen[name] += 1
            count, seen = self._count, self._seen[name]
        if path := self._faults.get("record"):
            with open(path, "a") as file:
                file.write(f"{name}\n")
        if count == self._faults.get("kill_at") or self._is("kill", name, seen):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._is("fail", name, seen):
            raise RuntimeError(f"injected at {name}")
        if name in self._faults.get("wait", {}):
            wait_for(self._faults["wait"][name])
        if self._is("wait_at", name, seen):
            wait_for(self._faults["wait_at"][2])

    def dies_next(self, what: str) -> bool:
        """Whether the next tick, of that name, is the last: time to leave something half done."""
        name = self.name(what)
        at_count = self._count + 1 == self._faults.get("kill_at")
        return at_count or self._is("kill", name, self._seen[name] + 1)

    def _is(self, what: str, name: str, seen: int) -> bool:
        fault = self._faults.get(what)
        return fault is not None and (fault[0], fault[1]) == (name, seen)


def wait_for(path: str) -> None:
    Path(f"{path}.reached").touch()
    deadline = time.monotonic() + _PATIENCE
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


def install(ticks: Ticks) -> None:
    """Puts the ticks around all that a clone does to a store, and around Dagster's events."""
    _wrap_catalog(ticks)
    for store in (EmbeddedStore, ServerStore):
        _wrap_upsert(store, "upsert", ticks)
        for name in ("create", "delete", "scroll", "close"):
            _around(store, name, name, ticks)
    # The embedded store's do no more than to call those.
    _wrap_upsert(ServerStore, "write", ticks)
    _around(ServerStore, "read", "scroll", ticks)
    _around(DagsterInstance, "handle_new_event", "dagster event", ticks)
    _around(reserve, "make_plan", "plan", ticks)
    _around(reserve, "measure_points", "plan", ticks)
    begin, run_step = reserve.begin, steps.run_step

    def named_begin(*args: Any, **kwargs: Any) -> Any:
        ticks.step = "plan_clone"
        return begin(*args, **kwargs)

    def named_step(stores: Any, clone_id: str, run_id: str, name: str, **kwargs: Any) -> Any:
        ticks.step = name
        return run_step(stores, clone_id, run_id, name, **kwargs)

    reserve.begin = named_begin
    steps.run_step = named_step  # type: ignore[assignment]


def _around(owner: Any, attribute: str, what: str, ticks: Ticks) -> None:
    inner: Callable[..., Any] = getattr(owner, attribute)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        ticks.tick(f"{what}:before")
        result = inner(*args, **kwargs)
        ticks.tick(f"{what}:after")
        return result

    setattr(owner, attribute, wrapped)


def _wrap_catalog(ticks: Ticks) -> None:
    write = Catalog.write

    @contextmanager
    def wrapped(self: Catalog, **kwargs: Any) -> Iterator[Any]:
        with write(self, **kwargs) as connection:
            yield connection
            ticks.tick("write:uncommitted")
        ticks.tick("write:committed")

    Catalog.write = wrapped  # type: ignore[method-assign]


def _wrap_upsert(store: Any, name: str, ticks: Ticks) -> None:
    upsert = getattr(store, name)

    def wrapped(self: Any, collection: str, points: Sequence[Any]) -> None:
        if ticks.dies_next("upsert:half"):
            upsert(self, collection, points[: len(points) // 2])
        ticks.tick("upsert:half")
        upsert(self, collection, points)
        ticks.tick("upsert:after")

    setattr(store, name, wrapped)


def _retry_at_once(gate: str | None, *_: Any) -> float:
    """The tests' own wait: until something happened, not for some seconds."""
    if gate is not None:
        wait_for(gate)
    return 0.0


def run() -> None:
    faults = json.loads(os.environ.get(VARIABLE, "{}"))
    slices.EMBEDDED_PAGE = slices.FIRST_PAGE = slices.LARGEST_PAGE = faults.get("page", 25)
    job_step._wait = partial(_retry_at_once, faults.get("retry"))
    install(Ticks(faults))
    sys.argv[0] = "clone-pipeline"
    main()


if __name__ == "__main__":
    run()
