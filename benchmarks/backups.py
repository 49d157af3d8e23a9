"""A collection out of Qdrant and back into it: as an archive in S3, as a folder, as a snapshot.

    python -m benchmarks.backups [--points N ...] [--size S] [--ways archive folder snapshot]
        [--no-index]

Starts a `qdrant` from the PATH and an S3 server. For each N a collection of N points, with a vector
of S numbers and a payload of some 300 bytes, is adopted, written and loaded under another name by
`clone-pipeline` as a process of its own, and downloaded and uploaded as Qdrant's snapshot by a
process that does nothing else. The archive is read back and proven when it is loaded; the folder
and the snapshot are not. Memory is the most that a process had. `--no-index` leaves the vectors
without an index, which is none of this and takes longest of all.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.archives import make_points
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline_tests import qdrant_server, servers

WAYS = ("archive", "folder", "snapshot")
_BUCKET = "backups"
_BATCH = 10_000
_CLI = (Path(sys.executable).with_name("clone-pipeline"),)

_DOWNLOAD = """
import sys, httpx
url, name, file = sys.argv[1:]
with httpx.Client(base_url=url, timeout=None, headers={"Accept-Encoding": "identity"}) as http:
    made = http.post(f"/collections/{name}/snapshots").raise_for_status().json()["result"]["name"]
    path = f"/collections/{name}/snapshots/{made}"
    with http.stream("GET", path) as answer, open(file, "wb") as out:
        answer.raise_for_status()
        for chunk in answer.iter_raw(1 << 20):
            out.write(chunk)
"""
_UPLOAD = """
import sys, httpx
url, name, file = sys.argv[1:]
with open(file, "rb") as data:
    path = f"/collections/{name}/snapshots/upload?priority=snapshot"
    answer = httpx.post(url + path, files={"snapshot": data}, timeout=None)
    if answer.is_error:
        sys.exit(answer.text)
"""


def fill(url: str, name: str, count: int, size: int, *, indexed: bool) -> None:
    store = ServerStore.open(url)
    config: dict[str, Any] = {"vectors": {"text": {"size": size, "distance": "Cosine"}}}
    if not indexed:
        config["optimizers_config"] = {"indexing_threshold": 0}
    store.create(name, config)
    for first in range(0, count, _BATCH):
        points = make_points(min(_BATCH, count - first), size)
        numbered = enumerate(points, first)
        store.upsert(name, [point._replace(id=number) for number, point in numbered])
    store.close()


def until_indexed(url: str, name: str) -> None:
    """An optimizer at work would be measured with whatever comes next."""
    while httpx.get(f"{url}/collections/{name}").json()["result"]["status"] != "green":
        time.sleep(1)


def timed(command: Iterable[object], env: dict[str, str], cwd: Path) -> tuple[float, float]:
    """Seconds, and the process' largest memory in MB, looked up until it ends: what the system says
    of it afterwards has our own in it (Linux)."""
    started, largest = time.monotonic(), 0
    with (cwd / "said").open("w+b") as said:
        process = subprocess.Popen(
            list(map(str, command)), env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=said
        )
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            most = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            largest = max(largest, *(int(line.split()[1]) for line in most), 0)
            time.sleep(0.02)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(said.read().decode())
    return seconds, largest / 1024


def stored(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def measure(
    url: str, s3: Any, env: dict[str, str], home: Path, count: int, asked: argparse.Namespace
) -> list[Any]:
    """Rows of (way, points, direction, seconds, MB of memory, bytes that lie there)."""
    source, at = f"bench_{count}", f"s3://{_BUCKET}/n{count}"
    fill(url, source, count, asked.size, indexed=not asked.no_index)
    until_indexed(url, source)
    timed([*_CLI, "adopt", source], env, home)
    folder, snapshot = home / f"folder_{count}", home / f"snapshot_{count}"
    rows = []

    def step(way: str, direction: str, *command: object, made: str | None = None) -> None:
        if way not in asked.ways:
            return
        seconds, memory = timed(command, env, home)
        if made is not None:
            until_indexed(url, made)
        rows.append([way, count, direction, seconds, memory])
        stdout.print(f"{way} {direction}, {count:,} points: {seconds:.1f} s, {memory:,.0f} MB")

    def load(way: str, where: object) -> None:
        if way not in asked.ways:
            return
        name = f"{way}_{count}"
        step(way, "in", *_CLI, "load", where, "--as", name, "--new-ids")
        timed([*_CLI, "delete", name, "--loaded", "--yes"], env, home)

    step("archive", "out", *_CLI, "dump", source, at)
    step("folder", "out", *_CLI, "dump", source, folder)
    step("snapshot", "out", sys.executable, "-c", _DOWNLOAD, url, source, snapshot)
    load("archive", at)
    load("folder", folder)
    step("snapshot", "in", sys.executable, "-c", _UPLOAD, url, "taken", snapshot, made="taken")
    listed = s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET, Prefix=f"n{count}/")
    sizes = {
        "archive": sum(one["Size"] for page in listed for one in page.get("Contents", ())),
        "folder": stored(folder.rglob("*")),
        "snapshot": stored([snapshot]),
    }
    for name in (source, "taken"):
        httpx.delete(f"{url}/collections/{name}", timeout=None)
    return [[*row, sizes[str(row[0])]] for row in rows]


def report(rows: list[Any]) -> None:
    pace = {(way, count, direction): count / took for way, count, direction, took, *_ in rows}
    first = {(way, direction): memory for way, _, direction, _, memory, _ in reversed(rows)}
    shown = [
        {
            "way": way,
            "points": f"{count:,}",
            "direction": direction,
            "points/s": f"{count / took:,.0f}",
            "to the folder's": _ratio(count / took, pace.get(("folder", count, direction))),
            "bytes a point": f"{size / count:,.0f}",
            "memory, MB": f"{memory:,.0f}",
            "to the first size": f"{memory / first[way, direction]:.2f}",
        }
        for way, count, direction, took, memory, size in rows
    ]
    print_table("Out of Qdrant, and in", shown)


def _ratio(pace: float, folder: float | None) -> str:
    return "" if folder is None else f"{pace / folder:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--no-index", action="store_true")
    asked = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="clone-pipeline-bench-")))
        (home / "qdrant").mkdir()
        url = stack.enter_context(qdrant_server.run(home / "qdrant"))
        s3_url = stack.enter_context(servers.s3())
        s3 = servers.s3_client(s3_url)
        s3.create_bucket(Bucket=_BUCKET)
        env = {
            **os.environ,
            **servers.s3_environment(s3_url),
            "CLONE_PIPELINE_HOME": str(home / "home"),
            "QDRANT_URL": url,
            "CATALOG_URL": "",
        }
        rows: list[Any] = []
        for count in asked.points:
            rows += measure(url, s3, env, home, count, asked)
    report(rows)
    stdout.print(f"Vectors of {asked.size} numbers; each way once.")


if __name__ == "__main__":
    main()
