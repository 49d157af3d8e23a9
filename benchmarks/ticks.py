"""What one look of a refresh's sensor costs, on a namespace with few objects and on one with many.

    python -m benchmarks.ticks [--few N] [--many N] [--rounds R]

Each namespace is in a SQLite catalog of its own; the sensor is evaluated on both in turn, as the
daemon does it: settings read, catalog opened, Dagster's history asked. Medians of the rounds with
(least-most); the ratio is that of each pair.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from benchmarks.objects import fill
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline_tests import harness
from clone_pipeline_tests.defs.watching import Watching


def watch(folder: Path, instance: dg.DagsterInstance, objects: int) -> Callable[[], float]:
    """The seconds of one tick, in a catalog with so many objects that is made for it."""
    folder.mkdir()
    with harness.open_stores(folder) as stores:
        fill(stores, folder / "bundle", objects, refers=False)
    os.environ["CLONE_PIPELINE_HOME"] = str(folder)
    watching = Watching(folder, instance, source="bench", target=f"copy_{objects}")

    def tick() -> float:
        started = time.perf_counter()
        found = watching.tick()
        took = time.perf_counter() - started
        assert len(found.run_requests) == 1, found.skip_message
        return took

    tick()
    return tick


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="ticks_") as folder,
        dg.instance_for_test() as instance,
    ):
        few = watch(Path(folder) / "few", instance, given.few)
        many = watch(Path(folder) / "many", instance, given.many)
        pairs = [(few(), many()) for _ in range(given.rounds)]
    print_table(
        "One look of the sensor",
        [
            {"objects": f"{count:,}", "milliseconds": _spread([pair[at] * 1000 for pair in pairs])}
            for at, count in enumerate((given.few, given.many))
        ],
    )
    ratios = [after / before for before, after in pairs]
    stdout.print(f"With {given.many:,} objects it takes {_spread(ratios)} times as long.")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}-{max(values):.3g})"


if __name__ == "__main__":
    main()
