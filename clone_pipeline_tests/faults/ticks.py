"""Moments of a clone at which something is made to go wrong, in the process that makes it.

Whatever is done to a store is counted ("ticks", each named `step:what:when`), and, where the fault
says so, the process dies, waits or fails at one of them. Fields of FAULTS, all optional:

  kill_at     die at the n-th tick (SIGKILL: nothing is cleaned up)
  kill        [name, n]: die at the n-th tick of that name
  linger      seconds from the fatal tick to the death: in the middle of what comes next
  fail        [name, n]: raise an unexpected error there
  wait        {name: path}: at that tick, say so (`path` + ".reached") and wait until `path` exists
  wait_at     [name, n, path]: the same, at the n-th tick of that name
  retry       a path: no step is tried again before it exists
  record      a file that gets the name of every tick
  writes      a file that gets the number of points of every write to a server
  page        points on a page, and so between two checkpoints
  per_slice   points of a slice
  largest_copy  bytes that are copied inside an object store by one request
  marked      files whose copies are marked in the ledger at once
  longest     seconds for which a step itself waits for a store
  claim       seconds after which a silent process loses its slices to others
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clone_pipeline.core import helping, steps
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.files import step as files
from clone_pipeline.core.files import transfer
from clone_pipeline.core.files.store import Files
from clone_pipeline.core.ledger import claims
from clone_pipeline.core.plan import begin as beginning
from clone_pipeline.core.points import collection, pages, retry
from clone_pipeline.core.vectors import native, slices
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.server import ServerStore

# Where a process finds what is to go wrong, as JSON.
VARIABLE = "FAULTS"

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
        self.append("record", name)
        if count == self._faults.get("kill_at") or self._is("kill", name, seen):
            self._die()
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

    def append(self, fault: str, line: str) -> None:
        if path := self._faults.get(fault):
            with open(path, "a") as file:
                file.write(f"{line}\n")

    def _die(self) -> None:
        linger = self._faults.get("linger")
        if linger is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            threading.Timer(linger, os.kill, (os.getpid(), signal.SIGKILL)).start()

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


def install(ticks: Ticks, faults: dict[str, Any]) -> None:
    """Puts the ticks around all that a clone does to a store."""
    page = faults.get("page", 25)
    pages.EMBEDDED_PAGE = pages.FIRST_PAGE = pages.LARGEST_PAGE = page
    retry._LONGEST_SECONDS = faults.get("longest", retry._LONGEST_SECONDS)
    _shorten_claims(faults.get("claim", claims.CLAIM_SECONDS))
    slices._POINTS_PER_SLICE = faults.get("per_slice", slices._POINTS_PER_SLICE)
    largest = faults.get("largest_copy", transfer.LARGEST_COPY)
    transfer.LARGEST_COPY, transfer.COPIED_PART = largest, min(largest, transfer.COPIED_PART)
    files._MARKED_AT_ONCE = faults.get("marked", files._MARKED_AT_ONCE)
    _wrap_catalog(ticks)
    for store in (EmbeddedStore, ServerStore):
        _wrap_upsert(store, "upsert", ticks)
        for name in ("create", "delete", "scroll", "close"):
            around(store, name, name, ticks)
    # The embedded store's do no more than to call those.
    _wrap_upsert(ServerStore, "write", ticks)
    around(ServerStore, "read", "scroll", ticks)
    around(ServerStore, "delete_points", "delete points", ticks)
    for name in ("copy", "copy_part", "finish_parts", "put", "remove", "abort_parts"):
        around(Files, name, f"file {name}", ticks)
    around(native._Copy, "shard", "native copy", ticks)
    around(native.NativeLane, "remove", "native remove", ticks)
    around(collection, "rename_collection", "rename", ticks)
    around(retry.Retry, "_sleep", "wait", ticks)
    around(beginning, "make_plan", "plan", ticks)
    around(beginning, "measure_points", "plan", ticks)
    begin, run_step = beginning.begin, steps.run_step

    def named_begin(*args: Any, **kwargs: Any) -> Any:
        ticks.step = "plan_clone"
        return begin(*args, **kwargs)

    def named_step(stores: Any, clone_id: str, run_id: str, name: str, **kwargs: Any) -> Any:
        ticks.step = name
        return run_step(stores, clone_id, run_id, name, **kwargs)

    beginning.begin = named_begin
    steps.run_step = named_step  # type: ignore[assignment]


def _shorten_claims(seconds: float) -> None:
    if seconds != claims.CLAIM_SECONDS:
        claims.CLAIM_SECONDS = helping.CLAIM_SECONDS = seconds
        claims.OWN_CLAIM_SECONDS, claims.HEARTBEAT_SECONDS = seconds / 2, seconds / 8


def around(owner: Any, attribute: str, what: str, ticks: Ticks) -> None:
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
    inner = getattr(store, name)

    def wrapped(self: Any, collection: str, points: Sequence[Any], *attempt: Any) -> None:
        if name == "write":
            ticks.append("writes", str(len(points)))
        if ticks.dies_next("upsert:half"):
            inner(self, collection, points[: len(points) // 2], *attempt)
        ticks.tick("upsert:half")
        inner(self, collection, points, *attempt)
        ticks.tick("upsert:after")

    setattr(store, name, wrapped)
