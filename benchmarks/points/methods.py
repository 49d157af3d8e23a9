"""The ways to copy a collection into a new one, of the same server or of another one.

All imports of clients are inside the functions: what a method does not use is not part of its
process.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .server import PREFIX, Server

TARGET = f"{PREFIX}target"
GO_TOOL = "qdrant-migration"
# The fastest of those tried on these datasets: pages of 50 (its default) to 1000 points, 1 to 8
# workers (its default: one a core, which nothing beat).
GO_BEST_FLAGS = ("--migration.batch-size", "200")

_MIGRATE_SECONDS = 600


class NotAvailable(Exception):
    """This method cannot be had here; one sentence says why."""


@dataclass(frozen=True)
class Job:
    """What a process of its own is to do: to copy `collection` of the server `source` to the server
    `server`. `home` is an empty folder."""

    method: str
    server: Server
    source: Server
    collection: str
    home: Path


@dataclass(frozen=True)
class Prepared:
    """A copy that is ready to run: `copy` is what is timed, and returns the new collection's name.
    `finish`, where there is one, does what the product does after the copy."""

    copy: Callable[[], str]
    finish: Callable[[], dict[str, Any]] | None = None


def prepare_ours(job: Job, lane: str) -> Prepared:
    """The step `copy_points` alone; what stands before it is done here, the proof afterwards."""
    from . import ours

    clone = ours.begin(ours.open_deployment(job), lane)
    clone.run(ours.BEFORE)

    def copy() -> str:
        clone.run(("copy_points",))
        return clone.target

    return Prepared(copy, lambda: ours.prove(clone, job))


def prepare_whole(job: Job, lane: str) -> Prepared:
    """A clone from its request to ready, the proof included."""
    from . import ours

    stores = ours.open_deployment(job)

    def copy() -> str:
        clone = ours.begin(stores, lane)
        clone.run((*ours.BEFORE, "copy_points", *ours.AFTER))
        ours.check_ready(clone)
        return clone.target

    return Prepared(copy)


def prepare_migrate(job: Job, prefer_grpc: bool) -> Prepared:
    """`qdrant_client.migrate` as it is. It gives the copy its source's name, so the side it writes
    to is told another name at each call: the one thing changed, beside a timeout that lasts."""
    from .renaming import RenamingClient, migrate, open_client

    source = open_client(job.server, prefer_grpc, _MIGRATE_SECONDS)
    target: Any = RenamingClient(open_client(job.server, prefer_grpc, _MIGRATE_SECONDS), TARGET)

    def copy() -> str:
        migrate(source, target, [job.collection])
        return TARGET

    return Prepared(copy)


def prepare_snapshot(job: Job) -> Prepared:
    """The two bare calls; the snapshot is removed after the clock has stopped."""
    server, path = job.server, f"/collections/{job.collection}/snapshots"
    made: list[str] = []

    def copy() -> str:
        made.append(server.call("POST", path)["name"])
        location = f"{server.url}{path}/{made[0]}"
        body = {"location": location, "priority": "snapshot"}
        server.call("PUT", f"/collections/{TARGET}/snapshots/recover", body)
        return TARGET

    def finish() -> dict[str, Any]:
        server.call("DELETE", f"{path}/{made[0]}")
        return {}

    return Prepared(copy, finish)


def prepare_upserts(job: Job) -> Prepared:
    """The points are in memory when the clock starts, in batches of the product's size."""
    from .bare import Upserts

    bare = Upserts(job.server, job.collection, TARGET)

    def copy() -> str:
        bare.run()
        return TARGET

    return Prepared(copy)


def prepare_go(job: Job, flags: tuple[str, ...]) -> Prepared:
    binary = shutil.which(GO_TOOL)
    if binary is None:
        raise NotAvailable(f"there is no `{GO_TOOL}` on the PATH")
    url, output = job.server.grpc_url, job.home / "output"
    command = [
        *(binary, "qdrant", "--source.url", url, "--source.collection", job.collection),
        *("--target.url", url, "--target.collection", TARGET),
        # Not the default name, so that nobody's own migration is disturbed.
        *("--migration.offsets-collection", f"{PREFIX}offsets", *flags),
    ]

    def copy() -> str:
        # A file costs us nothing while it runs; its last line is the error, if there is one.
        with output.open("wb") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(output.read_text(errors="replace").strip().splitlines()[-1])
        return TARGET

    return Prepared(copy)


@dataclass(frozen=True)
class Method:
    """`apart`: the copy is made on another server than the source's."""

    name: str
    title: str
    prepare: Callable[[Job], Prepared]
    apart: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("stream", "ours, stream", partial(prepare_ours, lane="stream")),
        Method("native", "ours, native", partial(prepare_ours, lane="native")),
        Method(
            "stream-apart",
            "ours, stream, between two servers",
            partial(prepare_ours, lane="stream"),
            apart=True,
        ),
        Method(
            "native-apart",
            "ours, native, between two servers",
            partial(prepare_ours, lane="native"),
            apart=True,
        ),
        Method("stream-clone", "ours, stream, whole clone", partial(prepare_whole, lane="stream")),
        Method("native-clone", "ours, native, whole clone", partial(prepare_whole, lane="native")),
        Method("upserts", "bare upserts out of memory", prepare_upserts),
        Method("migrate", "qdrant_client.migrate", partial(prepare_migrate, prefer_grpc=False)),
        Method(
            "migrate-grpc",
            "qdrant_client.migrate, prefer_grpc",
            partial(prepare_migrate, prefer_grpc=True),
        ),
        Method("snapshot", "snapshot and recover by hand", prepare_snapshot),
        Method("go", "Go migration tool", partial(prepare_go, flags=())),
        Method(
            "go-best", "Go migration tool, best flags", partial(prepare_go, flags=GO_BEST_FLAGS)
        ),
    )
}
