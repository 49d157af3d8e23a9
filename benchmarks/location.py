"""How long the code location takes to load, and what it costs when nothing happens.

    python -m benchmarks.location [--clones N] [--policies N] [--rounds R]
    python -m benchmarks.location --idle SECONDS [--policies N]

**Loading** is what a code server does before Dagster can show anything: the definitions are
imported, and put into the form in which webserver and daemon get them. Each is a process of its
own; `dagster` is the import of Dagster alone. Of the clones a half are backups, a quarter have no
policy, and a quarter are deleted; of the policies a half are backups, with a restore test, and a
half are refreshes that watch their source.

**Idle** (`--idle 120 --policies 50`) is `dagster dev` with daemon, webserver and code servers, and
policies none of which is due: the seconds that each kind of process kept the processor busy, in
percent of one core, beside a Dagster without any definitions. What the start costs is over by then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Table, select

from benchmarks.metrics import add
from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline.cli.output import print_table
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.ui.dev import Project

# What is there when the timing begins is Dagster's, and Python's.
_LOAD = """
import json, time
began = time.perf_counter()
import dagster
dagster_alone = time.perf_counter() - began
from clone_pipeline.definitions import defs
from dagster._core.remote_representation.external_data import RepositorySnap
imported = time.perf_counter() - began
snap = RepositorySnap.from_def(defs.get_repository_def(), defer_snapshots=True)
from dagster_shared.serdes import serialize_value
size = len(serialize_value(snap))
print(json.dumps([dagster_alone, imported, time.perf_counter() - began, size]))
"""
_SETTLED_SECONDS = 60


def fill(stores: Stores, unlike: Iterable[dict[str, Any]]) -> None:
    """The rows of one clone of the demo, once for each that differs from it in this."""
    harness.load(stores, FOLDER / "bundle")
    made = harness.clone(stores, SOURCE["namespace_id"], "clone_0")
    every = list(unlike)
    with stores.catalog.write() as connection:
        for table in (schema.clones, schema.namespaces):
            query = select(table).where(table.c.clone_id == made.clone_id)
            row = dict(connection.execute(query).mappings().one())
            add(connection, table, _rows(table, row, every))


def _rows(
    table: Table, row: dict[str, Any], every: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for number, unlike in enumerate(every, 1):
        changed = unlike | {"clone_id": f"clone_{number}", "namespace_key": 1000 + number}
        changed |= {"namespace_id": f"ns_{number:010}"}
        if table is schema.clones or unlike.get("status") != "discarded":
            yield row | {name: value for name, value in changed.items() if name in table.c}


def many(clones: int, policies: int) -> Iterator[dict[str, Any]]:
    for number in range(1, clones):
        backup = number % 2 == 0 and policies > 0
        unlike: dict[str, Any] = {"namespace_name": f"name_{number}"}
        if backup:
            policy = f"backup_{number % max(1, policies // 2)}"
            unlike |= {"policy": policy, "purpose": "backup"}
        if number % 4 == 1:
            unlike["status"] = "discarded"
        yield unlike


def write_policies(path: Path, policies: int) -> Path:
    """Backups are due half a day from now."""
    hour = (datetime.now(timezone.utc).hour + 12) % 24
    source = SOURCE["namespace_id"]
    backups = [
        f'  - {{name: backup_{n}, source: {source}, cron: "{n % 60} {hour} * * *", '
        f"name_template: 'b{n}_{{date}}_{{time}}'}}"
        for n in range(policies // 2)
    ]
    refreshes = [
        f"  - {{name: refresh_{n}, source: {source}, target: copy_{n}, "
        "on_change: {quiet_period_seconds: 86400}}"
        for n in range(policies - policies // 2)
    ]
    lines = ["backups:", *backups, "refreshes:", *refreshes, ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def loading(clones: int, policies: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        home = Path(folder)
        if clones:
            with harness.open_stores(home) as stores:
                fill(stores, many(clones, policies))
        env = {**os.environ, "CLONE_PIPELINE_HOME": folder}
        if policies:
            env["CLONE_POLICIES"] = str(write_policies(home / "policies.yaml", policies))
        taken = [_one_load(env) for _ in range(rounds)]
    dagster, imported, ready, size = (statistics.median(of) for of in zip(*taken, strict=True))
    return {
        "clones": f"{clones:,}",
        "policies": f"{policies:,}",
        "dagster": round(dagster, 2),
        "imported": round(imported, 2),
        "loaded": round(ready, 2),
        "least": round(min(one[2] for one in taken), 2),
        "kB": f"{size / 1000:,.0f}",
    }


def _one_load(env: dict[str, str]) -> list[float]:
    command = [sys.executable, "-c", _LOAD]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


_NOTHING = "import dagster\n\ndefs = dagster.Definitions()\n"
_ALONE = "load_from: [{python_file: {relative_path: nothing.py}}]\n"


def idle_alone(seconds: float) -> list[dict[str, Any]]:
    """Dagster with our dagster.yaml, and without any definitions."""
    with tempfile.TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        project = Project.make(Path(folder) / "project")
        (project.folder / "nothing.py").write_text(_NOTHING, encoding="utf-8")
        (project.folder / "workspace.yaml").write_text(_ALONE, encoding="utf-8")
        return _busy(project, seconds)


def idle(policies: int, seconds: float) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        file = Path(folder) / "policies.yaml"
        project = Project.make(Path(folder) / "project", CLONE_POLICIES=str(file))
        project.home.mkdir()
        with harness.open_stores(project.home) as stores:
            targets = range(policies - policies // 2)
            fill(stores, ({"namespace_name": f"copy_{number}"} for number in targets))
        write_policies(file, policies)
        return _busy(project, seconds)


def _busy(project: Project, seconds: float) -> list[dict[str, Any]]:
    with project.dagster_dev():
        time.sleep(_SETTLED_SECONDS)
        before = _worked()
        time.sleep(seconds)
        after = _worked()
    rows = [
        {
            "process": kind,
            "percent of a core": round((after[kind] - before.get(kind, 0.0)) / seconds * 100, 2),
        }
        for kind in sorted(after)
    ]
    total = sum(after.values()) - sum(before.values())
    return [*rows, {"process": "all", "percent of a core": round(total / seconds * 100, 2)}]


def _worked() -> dict[str, float]:
    """The processor's seconds of what this process has started, by kind; those of processes that
    have ended are with their parents."""
    worked: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words, times = process.cmdline(), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        kinds = [
            one
            for one in ("daemon", "webserver", "grpc", "code-server", "dev")
            if one in " ".join(words)
        ]
        kind = kinds[0] if kinds else "other"
        spent = times.user + times.system + times.children_user + times.children_system
        worked[kind] = worked.get(kind, 0.0) + spent
    return worked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--clones", type=int, default=10_000)
    parser.add_argument("--policies", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, metavar="SECONDS")
    given = parser.parse_args()
    if given.idle:
        policies = 50 if given.policies is None else given.policies
        title = f"Idle for {given.idle:.0f} s"
        print_table(f"{title}, Dagster without any definitions", idle_alone(given.idle))
        print_table(f"{title}, {policies} policies", idle(policies, given.idle))
        return
    policies = 1000 if given.policies is None else given.policies
    rows = [loading(0, 0, given.rounds), loading(given.clones, policies, given.rounds)]
    print_table(f"Seconds to load, median of {given.rounds}", rows)


if __name__ == "__main__":
    main()
