"""One clone, copied and proven by several processes.

    python -m benchmarks.workers [--points N] [--size S] [--share S] [--rounds R]

Starts PostgreSQL, and a `qdrant` from the PATH or uses QDRANT_URL. A run and helpers, each a
process of its own that has done its imports, make a clone of the same source: one, two and four of
them, each held to a share of a core, so that they and not Qdrant are the limit; then one and two
without a limit. A process is held to its share by SIGSTOP and SIGCONT, by what its threads have
used so far. Seconds are those of the steps in the ledger; processor time is that of all of the
processes until both steps are done. Ratios are of the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.points.datasets import SMALL
from benchmarks.points.methods import Job
from benchmarks.points.ours import BEFORE, open_deployment
from benchmarks.points.rounds import load_source
from benchmarks.points.server import running
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.helping import Helper
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.plan import begin
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.demo.making import ids
from clone_pipeline.deployment import open_stores
from clone_pipeline.settings import load_settings
from clone_pipeline_tests import servers

_GREEN_SECONDS = 1800.0
_LOOK_SECONDS = 0.005
# What is measured: how many processes, and whether each is held to its share.
_CREWS = ((1, True), (2, True), (4, True), (1, False), (2, False))


@dataclass(frozen=True)
class Made:
    """Seconds of the steps, and processor seconds of all who made it."""

    copied: float
    proven: float
    cpu: float


# ---- the processes -----------------------------------------------------------------------------


def be_run(stores: Stores, clone_id: str, run_id: str) -> None:
    for step in STEPS[STEPS.index("copy_points") :]:
        run_step(stores, clone_id, run_id, step, process_goes_on=True)


def be_helper(stores: Stores) -> None:
    """Until it is told to end."""
    helper = Helper(stores, lambda _: None)
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    while not ends.is_set():
        if not helper.help():
            ends.wait(0.2)


def child(role: list[str]) -> None:
    """Says when it is ready, begins when it hears of it, and says what it has used since. `role` is
    empty for who helps, else the clone and the run."""
    stores = open_stores(load_settings())
    with stores.vectors() as vectors:
        vectors.exists("any")
    print("ready", flush=True)
    sys.stdin.readline()
    began = _cpu_seconds()
    if role:
        be_run(stores, *role)
    else:
        be_helper(stores)
    print(json.dumps(_cpu_seconds() - began), flush=True)
    stores.close()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def started(*role: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.workers", "--child", *role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def held(processes: Sequence[subprocess.Popen[str]], share: float | None) -> Iterator[None]:
    """Each to its share of a core."""
    ended = threading.Event()

    def hold() -> None:
        known = [psutil.Process(one.pid) for one in processes]
        before, began = [_used(one) for one in known], time.monotonic()
        while not ended.wait(_LOOK_SECONDS):
            allowed = (share or 1.0) * (time.monotonic() - began)
            for one, used in zip(known, before, strict=True):
                with suppress(psutil.NoSuchProcess):
                    stops = _used(one) - used > allowed
                    one.send_signal(signal.SIGSTOP if stops else signal.SIGCONT)
        for one in known:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=hold)
    if share is not None:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if share is not None:
            thread.join()


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# ---- a clone of theirs -------------------------------------------------------------------------


def make(stores: Stores, name: str, processes: int, share: float | None) -> Made:
    request = parse_request({"namespace_identifier": ids.NAMESPACE, "namespace_name": name})
    clone = begin.begin(stores, request, LOCAL_OPERATOR, name)
    with ExitStack() as opened:
        crew = [opened.enter_context(started(clone.clone_id, name))]
        crew += [opened.enter_context(started()) for _ in range(processes - 1)]
        for step in BEFORE:
            run_step(stores, clone.clone_id, name, step, process_goes_on=True)
        with held(crew, share):
            cpu = _go(crew)
    with stores.catalog.read() as connection:
        made = ledger.get(connection, clone.clone_id)
        reports = ledger.read_reports(connection, clone.clone_id)
    assert made.status == "ready", made.error
    with stores.vectors() as vectors:
        vectors.delete(made.qdrant_collection)
    return Made(reports["copy_points"].seconds, reports["verify_clone"].seconds, cpu)


def _go(processes: Sequence[subprocess.Popen[str]]) -> float:
    for one in reversed(processes):
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    run, *helpers = processes
    used = [_last_word(run)]
    for one in helpers:
        one.send_signal(signal.SIGTERM)
        used.append(_last_word(one))
    return sum(used)


def _last_word(process: subprocess.Popen[str]) -> float:
    assert process.stdout is not None
    return float(json.loads(process.stdout.readline()))


# ---- figures -----------------------------------------------------------------------------------


def measure(stores: Stores, points: int, share: float, rounds: int) -> list[dict[str, Any]]:
    found: dict[tuple[int, bool], list[Made]] = {crew: [] for crew in _CREWS}
    for number in range(rounds):
        for processes, limited in _CREWS:
            name = f"workers-{number}-{processes}-{limited}"
            one = make(stores, name, processes, share if limited else None)
            found[processes, limited].append(one)
            stdout.print(
                f"round {number + 1}, {processes} {'held' if limited else 'free'}: copied in "
                f"{one.copied:.1f} s, proven in {one.proven:.1f} s, {one.cpu:.1f} CPU s"
            )
    return [_row(found, points, share, crew) for crew in _CREWS]


def _row(
    found: dict[tuple[int, bool], list[Made]], points: int, share: float, crew: tuple[int, bool]
) -> dict[str, Any]:
    ours, alone = found[crew], found[1, crew[1]]
    row: dict[str, Any] = {"processes": crew[0], "cores each": share if crew[1] else "no limit"}
    for what in ("copied", "proven"):
        seconds = statistics.median(getattr(one, what) for one in ours)
        ratios = [getattr(b, what) / getattr(a, what) for a, b in zip(ours, alone, strict=True)]
        row[what] = f"{seconds:.1f} s"
        row[f"{what}, times of one"] = f"{statistics.median(ratios):.2f}"
    row["CPU µs a point"] = round(statistics.median(one.cpu for one in ours) * 1e6 / points)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ["CLONE_PIPELINE_LOG_LEVEL"] = "CRITICAL"
    if asked.child is not None:
        child(asked.child)
        return
    vectors = {"": {"size": asked.size, "distance": "Cosine"}}
    dataset = replace(SMALL, name="workers", points=asked.points, vectors=vectors)
    with (
        servers.postgres() as catalog_url,
        running() as server,
        TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder,
    ):
        source = load_source(server, dataset, stdout.print, _GREEN_SECONDS)
        Catalog.open(catalog_url).close()
        job = Job("workers", server, server, source.collection, Path(folder))
        stores = open_deployment(job, catalog_url)
        try:
            rows = measure(stores, asked.points, asked.share, asked.rounds)
        finally:
            stores.close()
    print_table(f"{asked.points:,} points x {asked.size}, by several processes", rows)


if __name__ == "__main__":
    main()
