"""A refresh that begins with what is live (lane `delta`) beside one that streams all points anew.

    python -m benchmarks.refresh [--points N] [--size S] [--shares P ...] [--rounds R]
        [--streams P ...]
    python -m benchmarks.refresh [--points N] [--size S] --in-a-row 10

Starts a `qdrant` from the PATH, or uses QDRANT_URL. For each share of the points, scattered or all
in one place, a third of them is changed, a third deleted and a third inserted; then the clone is
refreshed by both lanes in turn, each of the state that the source has and from the generation
before the change. Seconds count from the beginning of `copy_points`: until it has ended, until the
server has nothing left to index, and what the whole proof takes; of a source that has not changed
they count from the request. `delta` never gives up here, so that the share shows from which on it
is not worth it. Streaming takes the same whatever has changed: with `--streams` that is done for
these shares alone, and the others are held against their median.

With `--in-a-row` so many refreshes follow one another, each after a change of 1 % of the points:
what each takes, and what the server has in memory and on disk once the generation before the last
is deleted, as the sweep deletes it.
"""

import argparse
import os
import statistics
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qdrant_client import QdrantClient, grpc

from benchmarks.points.datasets import SMALL, Dataset
from benchmarks.points.loading import make_points
from benchmarks.points.meter import peak_bytes
from benchmarks.points.methods import Job
from benchmarks.points.ours import open_deployment
from benchmarks.points.rounds import Source, load_source
from benchmarks.points.server import Server, running, starting_in
from benchmarks.points.watch import wait_green
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core import steps
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.stored import left_alone
from clone_pipeline.core.outputs import CopiedPoints, Published
from clone_pipeline.core.plan import begin
from clone_pipeline.core.points import delta
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.demo.making import ids

_NAME = "refreshed"
_GREEN_SECONDS = 1800.0
_BATCH = 500
_LANES = ("delta", "stream")


@dataclass(frozen=True)
class Refreshed:
    """Seconds of one refresh; `written` is how many points it wrote or deleted. `published`:
    whether there is a new generation; `whole`: from the request to ready."""

    lane: str
    collection: str
    written: int
    copied: float
    green: float
    proven: float
    published: bool
    whole: float

    @property
    def total(self) -> float:
        """Until it is proven, and indexed."""
        if not self.published:
            return self.whole
        return max(self.green, self.copied + self.proven)

    def line(self) -> str:
        return (
            f"copied in {self.copied:.1f} s, green after {self.green:.1f} s, "
            f"proven in {self.proven:.1f} s"
        )


def refresh(stores: Stores, server: Server, lane: str, run_id: str) -> Refreshed:
    request = parse_request(
        {
            "namespace_identifier": ids.NAMESPACE,
            "namespace_name": _NAME,
            "if_exists": "replace",
            "lane": lane,
            "include_resources": {"collections": True, "retrievers": True, "taxonomies": True},
        }
    )
    asked = time.monotonic()
    clone = begin.begin(stores, request, LOCAL_OPERATOR, run_id)
    seconds: dict[str, float] = {}
    green = 0.0
    for step in STEPS[1:]:
        began = time.monotonic()
        report = steps.run_step(stores, clone.clone_id, run_id, step, process_goes_on=True)
        seconds[step] = time.monotonic() - began
        if step == "copy_points":
            copied = CopiedPoints.of(report)
            green = seconds[step]
            if not left_alone(clone.plan):
                found = wait_green(server, clone.qdrant_collection, _GREEN_SECONDS)
                assert found.at is not None, "not green in half an hour"
                green = found.at - began
    whole = time.monotonic() - asked
    with stores.catalog.read() as connection:
        assert ledger.get(connection, clone.clone_id).status == "ready"
    changes = copied.changes or {"written": copied.points_in_this_run or 0, "unchanged": 0}
    written = sum(count for what, count in changes.items() if what != "unchanged")
    return Refreshed(
        lane,
        clone.qdrant_collection,
        written,
        seconds["copy_points"],
        green,
        seconds["verify_clone"],
        not Published.of(report).unchanged,
        whole,
    )


def _median_stream(found: dict[tuple[float, str, str], list[Refreshed]]) -> Refreshed:
    streams = [one for (_, _, lane), some in found.items() if lane == "stream" for one in some]
    return sorted(streams, key=lambda one: one.total)[len(streams) // 2]


class Changing:
    """Changes, deletes and inserts points of the source, other ones each time."""

    def __init__(self, server: Server, source: Source) -> None:
        self._client = QdrantClient(
            url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, timeout=600
        )
        self._collection = source.collection
        self._dataset: Dataset = source.dataset
        self._numbers = list(range(source.dataset.points))
        self._round = 0

    def change(self, share: float, *, clustered: bool) -> int:
        """Returns how many points that were."""
        self._round += 1
        count = round(share * len(self._numbers))
        if not count:
            return 0
        if clustered:
            first = (self._round * 7919) % (len(self._numbers) - count)
            chosen = self._numbers[first : first + count]
        else:
            apart = len(self._numbers) / count
            chosen = [self._numbers[int(apart * index)] for index in range(count)]
        third = count // 3
        changed, gone = chosen[: count - 2 * third], set(chosen[count - third :])
        highest = self._numbers[-1] + 1
        new = list(range(highest, highest + third))
        self._write([*changed, *new])
        self._delete(sorted(gone))
        self._numbers = [one for one in self._numbers if one not in gone] + new
        return len(changed) + len(new) + len(gone)

    def _write(self, numbers: list[int]) -> None:
        # Of other random numbers than those that were loaded.
        other = replace(self._dataset, points=self._dataset.points + self._round)
        for start in range(0, len(numbers), _BATCH):
            points = [
                point
                for number in numbers[start : start + _BATCH]
                for point in make_points(other, range(number, number + 1))
            ]
            self._client.grpc_points.Upsert(
                grpc.UpsertPoints(collection_name=self._collection, points=points, wait=True)
            )

    def _delete(self, numbers: list[int]) -> None:
        selected = [grpc.PointId(num=number) for number in numbers]
        self._client.grpc_points.Delete(
            grpc.DeletePoints(
                collection_name=self._collection,
                wait=True,
                points=grpc.PointsSelector(points=grpc.PointsIdsList(ids=selected)),
            )
        )


def measure(
    stores: Stores,
    server: Server,
    source: Source,
    shares: Sequence[float],
    streams: Sequence[float],
    rounds: int,
) -> list[dict[str, Any]]:
    changing = Changing(server, source)
    gone = [refresh(stores, server, "stream", "first").collection]
    found: dict[tuple[float, str, str], list[Refreshed]] = {}
    for number in range(rounds):
        for share in shares:
            for where in ("scattered", "clustered") if share else ("",):
                changed = changing.change(share, clustered=where == "clustered")
                for lane in _LANES if share in streams else ("delta",):
                    one = refresh(stores, server, lane, f"{number}-{share}-{where}-{lane}")
                    assert one.written == changed or lane == "stream", (one, changed)
                    found.setdefault((share, where, lane), []).append(one)
                    if not one.published:
                        continue
                    gone.append(one.collection)
                    if lane == "delta" and share in streams:
                        # The other one begins with the generation before the change, too.
                        rollback(stores, None, _NAME)
                for collection in gone[:-1]:
                    server.delete(collection)
                del gone[:-1]
                told = {
                    what: found[key][-1]
                    for what in _LANES
                    if (key := (share, where, what)) in found
                }
                stdout.print(
                    f"round {number + 1}, {share:.1%} {where}: "
                    + ", ".join(f"{what} {one.line()}" for what, one in told.items())
                )
    return [_row(found, share, where) for share, where in dict.fromkeys(key[:2] for key in found)]


def in_a_row(stores: Stores, server: Server, source: Source, folder: Path, count: int) -> None:
    changing = Changing(server, source)
    kept = [refresh(stores, server, "stream", "first").collection]
    rows = []
    for number in range(count):
        changed = changing.change(0.01, clustered=False)
        one = refresh(stores, server, "delta", f"row-{number}")
        assert one.written == changed, (one, changed)
        kept.append(one.collection)
        for collection in kept[:-2]:
            server.delete(collection)
        del kept[:-2]
        rows.append(
            {
                "refresh": number + 1,
                "copied, s": f"{one.copied:.1f}",
                "green, s": f"{one.green:.1f}",
                "proven, s": f"{one.proven:.1f}",
                "segments": server.call("GET", f"/collections/{one.collection}")["segments_count"],
                "disk, MB": f"{_disk(folder) / 1e6:.0f}",
                "server, MB": f"{_resident(server) / 1e6:.0f}",
                "client's peak, MB": f"{peak_bytes() / 1e6:.0f}",
            }
        )
        stdout.print(rows[-1])
    print_table("One after the other, 1 % changed before each", rows)


def _disk(folder: Path) -> int:
    """What is taken, holes in files left out."""
    return sum(one.stat().st_blocks * 512 for one in folder.rglob("*") if one.is_file())


def _resident(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (found,) = (line for line in lines if line.startswith("memory_resident_bytes "))
    return int(found.split()[1])


def _row(
    found: dict[tuple[float, str, str], list[Refreshed]], share: float, where: str
) -> dict[str, Any]:
    ours = found[share, where, "delta"]
    theirs = found.get((share, where, "stream")) or [_median_stream(found)] * len(ours)
    row: dict[str, Any] = {"changed": f"{share:.1%} {where}".strip(), "written": ours[0].written}
    for what, name in (("copied", "copy"), ("green", "until green"), ("total", "and proven")):
        seconds = [statistics.median(getattr(one, what) for one in lane) for lane in (ours, theirs)]
        ratios = [getattr(a, what) / getattr(b, what) for a, b in zip(ours, theirs, strict=True)]
        spread = f"({min(ratios):.2f}-{max(ratios):.2f})" if len(ratios) > 1 else ""
        row[name] = (
            f"{seconds[0]:.1f} to {seconds[1]:.1f} s: {statistics.median(ratios):.2f} {spread}"
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5]
    )
    parser.add_argument("--streams", type=float, nargs="+", metavar="P")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-a-row", type=int, metavar="N")
    asked = parser.parse_args()
    streams = asked.streams or asked.shares
    os.environ["CLONE_PIPELINE_LOG_LEVEL"] = "CRITICAL"
    delta.MOST_CHANGED = 2.0
    vectors = {"": {"size": asked.size, "distance": "Cosine"}}
    dataset = replace(SMALL, name="refresh", points=asked.points, vectors=vectors)
    with ExitStack() as opened:
        folder, storage = (
            Path(opened.enter_context(TemporaryDirectory(prefix="clone-pipeline-benchmark-")))
            for _ in range(2)
        )
        started = starting_in(storage) if asked.in_a_row else running()
        server = opened.enter_context(started)
        source = load_source(server, dataset, stdout.print, _GREEN_SECONDS)
        job = Job("refresh", server, server, source.collection, folder)
        stores = open_deployment(job)
        try:
            if asked.in_a_row:
                in_a_row(stores, server, source, storage, asked.in_a_row)
                return
            rows = measure(stores, server, source, asked.shares, streams, asked.rounds)
        finally:
            stores.catalog.close()
    print_table(f"{asked.points:,} points x {asked.size}: delta to stream", rows)


if __name__ == "__main__":
    main()
