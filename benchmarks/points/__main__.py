"""Copies collections of a real Qdrant server in several ways, and prints how they compare.

    python -m benchmarks.points [--datasets 60k,200k,mix] [--methods stream,migrate] [--rounds 3]
        [--scale 0.1] [--no-green] [--json FILE]
    python -m benchmarks.points --memory

It needs the Qdrant server at QDRANT_URL (without a key, and with gRPC at the port after the URL's),
or a `qdrant` on the PATH, which it starts on loopback in a temporary folder and stops. The official
Go migration tool takes part where it is on the PATH as `qdrant-migration`.

Each copy runs in a process of its own, which opens its clients first; the clock and the CPU time
(all threads) begin with the copy itself. The server says when the copy is searchable (every point
is counted, a search finds one) and green (indexed: no optimization runs or waits; `optimized` is
how many ran). The methods take turns, each round beginning with another one. Figures are medians
with (least-most); ratios are of the same round: points a second in times of migrate's, seconds in
times of the snapshot's.

The methods between two servers copy to a second `qdrant` from the PATH.

`stream` and `native` are the step `copy_points` alone, then the wait for green, then the proof,
which has a row of its own. `whole clone` goes from the request to ready without a pause.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from clone_pipeline.cli.output import print_table, say, stderr
from clone_pipeline_tests.qdrant_server import is_installed

from . import memory
from .datasets import DATASETS
from .methods import METHODS
from .rounds import Outcome, Servers, load_source, run_rounds
from .server import Server, running, starting
from .table import bar_rows, rows, shown


def main() -> None:
    arguments = _parse()
    with ExitStack() as opened:
        server = opened.enter_context(running())
        apart = not arguments.memory and any(METHODS[one].apart for one in arguments.methods)
        other = opened.enter_context(starting()) if apart and is_installed() else None
        about = _about(server, arguments)
        say("  ".join(f"{key} {value}" for key, value in about.items()))
        if arguments.memory:
            found = memory.measure(server, arguments.scale, _progress)
            print_table("Peak memory of the client, ours, stream", found)
            _store(arguments.json, {"about": about, "memory": found})
            return
        results: dict[str, Any] = {}
        for name in arguments.datasets:
            results[name] = _run_dataset(Servers(server, other), name, arguments)
            _store(arguments.json, {"about": about, "datasets": results})


def _run_dataset(servers: Servers, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    server = servers.source
    dataset = DATASETS[name].scaled(arguments.scale)
    source = load_source(server, dataset, _progress, arguments.green_limit)
    limit = 0.0 if arguments.no_green else arguments.green_limit
    outcomes: list[Outcome] = []
    for outcome in run_rounds(
        servers, source, arguments.methods, arguments.rounds, _progress, limit
    ):
        outcomes.append(outcome)
    server.delete(source.collection)
    table, bars = rows(outcomes, dataset.points), bar_rows(outcomes)
    scaled = "" if arguments.scale == 1 else f" (scaled: {dataset.points:,} points)"
    print_table(f"{dataset.title}{scaled}, {arguments.rounds} rounds", map(shown, table))
    for row in table:
        if row["note"]:
            say(f"  {row['method']}: {row['note']}")
    if bars:
        print_table("Ratios within a round", map(shown, bars))
    return {"points": dataset.points, "rows": table, "bars": bars, "outcomes": outcomes}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=_names(DATASETS), default=list(DATASETS))
    parser.add_argument("--methods", type=_names(METHODS), default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of points")
    parser.add_argument("--no-green", action="store_true", help="do not wait for the index")
    parser.add_argument("--green-limit", type=float, default=3600.0, help="seconds to wait for it")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--memory", action="store_true", help="peak memory, 100k against 1M points")
    return parser.parse_args()


def _names(known: dict[str, Any]) -> Any:
    def names(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(known)}")
        return found

    return names


def _about(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "qdrant": server.version(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "scale": arguments.scale,
    }


def _progress(text: str) -> None:
    stderr.print(text, soft_wrap=True)


def _store(file: Path | None, values: dict[str, Any]) -> None:
    if file is not None:
        file.write_text(json.dumps(values, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value)} has no JSON")


if __name__ == "__main__":
    main()
