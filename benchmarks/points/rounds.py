"""Runs the methods in turn, each copy in a process of its own, and looks at what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from .datasets import Dataset
from .methods import METHODS, TARGET
from .server import PREFIX, Refused, Server
from .watch import Green, NotComplete, Probe, wait_green, wait_searchable

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """One copy. `problem` says why there are no figures; all seconds count from the copy's begin.

    `seconds` ends where the tool says it is done, `searchable` and `green` where the server does.
    `scrolls_seconds` is what it takes to read as much as the proof does, and do nothing else;
    `told` is what our own product says of itself.
    """

    method: str
    round: int
    problem: str = ""
    seconds: float = 0.0
    searchable: float = 0.0
    green: float | None = None
    optimizations: int | None = None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    proof_seconds: float | None = None
    proof_cpu_seconds: float | None = None
    scrolls_seconds: float | None = None
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A dataset that stands on the server, indexed."""

    dataset: Dataset
    collection: str
    probe: Probe


class Failed(Exception):
    """A process ended otherwise than it should."""


@dataclass(frozen=True)
class Servers:
    """The source's, and another one for the methods that copy to one."""

    source: Server
    other: Server | None = None


def load_source(server: Server, dataset: Dataset, say: Say, green_seconds: float) -> Source:
    """Fills a collection and waits until nothing is left to do for the optimizer."""
    collection = f"{PREFIX}source_{dataset.name}"
    values = {
        "method": "load",
        "server": asdict(server),
        "dataset": asdict(dataset),
        "collection": collection,
    }
    began = time.monotonic()
    with _worker(values) as worker:
        worker.expect_end()
    probe = Probe.of(server, collection, *dataset.searched)
    wait_searchable(server, collection, dataset.points, probe)
    loaded = time.monotonic()
    green = wait_green(server, collection, green_seconds)
    if green.at is None:
        raise SystemExit(f"The source {dataset.name} is not green after {green_seconds:.0f} s.")
    say(
        f"{dataset.name}: {dataset.points:,} points loaded in {loaded - began:.1f} s, "
        f"green {green.at - loaded:.1f} s later"
    )
    return Source(dataset, collection, probe)


def run_rounds(
    servers: Servers,
    source: Source,
    methods: Sequence[str],
    rounds: int,
    say: Say,
    green_seconds: float,
) -> Iterator[Outcome]:
    """Every method once a round, each round beginning with another one."""
    for number in range(rounds):
        first = number % len(methods)
        for method in (*methods[first:], *methods[:first]):
            outcome = run_method(servers, source, method, number, green_seconds)
            say(f"{source.dataset.name} round {number + 1} {method}: {_line(source, outcome)}")
            yield outcome


def run_method(
    servers: Servers, source: Source, method: str, number: int, green_seconds: float
) -> Outcome:
    """One copy, checked to be complete, and removed again. No `green_seconds`: not waited for."""
    server = servers.other if METHODS[method].apart else servers.source
    if server is None:
        return Outcome(method, number, problem="not available: there is no `qdrant` on the PATH")
    target = TARGET
    try:
        with TemporaryDirectory(prefix="clone-pipeline-benchmark-") as home:
            values = {
                "method": method,
                "server": asdict(server),
                "source": asdict(servers.source),
                "collection": source.collection,
                "home": home,
            }
            with _worker(values) as worker:
                copied = worker.expect("copied")
                target = copied["target"]
                found = _look(server, source, target, green_seconds)
                worker.go_on()
                finished = worker.expect("finished")
                worker.expect_end()
    except (Failed, NotComplete, Refused) as error:
        return Outcome(method, number, problem=str(error))
    finally:
        with suppress(Refused):  # there is none where the copy did not begin
            server.delete(target)
    return _outcome(method, number, copied, found, finished)


@dataclass(frozen=True)
class _Found:
    searchable_at: float
    green: Green


def _look(server: Server, source: Source, target: str, green_seconds: float) -> _Found:
    searchable = wait_searchable(server, target, source.dataset.points, source.probe)
    if not green_seconds:
        return _Found(searchable, Green(None, None))
    return _Found(searchable, wait_green(server, target, green_seconds))


def _outcome(
    method: str, number: int, copied: dict[str, Any], found: _Found, finished: dict[str, Any]
) -> Outcome:
    used, proof = copied["used"], finished.pop("proof", {})
    scrolls = finished.pop("scrolls", {})
    began = used["began"]
    return Outcome(
        method=method,
        round=number,
        seconds=used["seconds"],
        searchable=found.searchable_at - began,
        green=None if found.green.at is None else found.green.at - began,
        optimizations=found.green.optimizations,
        cpu_seconds=used["cpu_seconds"],
        peak_bytes=copied["peak_bytes"],
        proof_seconds=proof.get("seconds"),
        proof_cpu_seconds=proof.get("cpu_seconds"),
        scrolls_seconds=scrolls.get("seconds"),
        told=finished,
    )


def _line(source: Source, outcome: Outcome) -> str:
    if outcome.problem:
        return outcome.problem
    green = "" if outcome.green is None else f", green after {outcome.green:.2f} s"
    return (
        f"{source.dataset.points / outcome.searchable:,.0f} points/s, "
        f"searchable after {outcome.searchable:.2f} s{green}"
    )


class _Worker:
    """A process of `worker`, which speaks in lines of JSON."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process = process
        self._errors = errors

    def expect(self, event: str) -> dict[str, Any]:
        """Raises Failed, with its own reason, where something else comes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"failed: {self._last_words()}")
        found: dict[str, Any] = json.loads(line)
        if found["event"] == "refused":
            raise Failed(f"not available: {found['reason']}")
        if found.pop("event") != event:
            raise Failed(f"failed: said {line.strip()}")
        return found

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def expect_end(self) -> None:
        if self._process.wait() != 0:
            raise Failed(f"failed: {self._last_words()}")

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return f"{lines[-1] if lines else 'without a word'} (exit code {code})"


@contextmanager
def _worker(values: dict[str, Any]) -> Iterator[_Worker]:
    with TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        with (Path(folder) / "errors").open("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker", json.dumps(values)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
            try:
                yield _Worker(process, errors)
            finally:
                process.kill()
                process.communicate()
