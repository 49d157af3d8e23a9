"""One method in a process of its own: `python -m benchmarks.points.worker JOB`.

It prepares, copies, says what it used (a line of JSON), waits for a line on its standard input
while others look at the copy, and then finishes, where its method has more to do.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .datasets import Dataset
from .meter import Meter, peak_bytes
from .methods import METHODS, Job, NotAvailable
from .server import Server


def main() -> None:
    values = json.loads(sys.argv[1])
    server = Server(**values["server"])
    if values["method"] == "load":
        from .loading import load

        load(server, Dataset(**values["dataset"]), values["collection"])
        return
    job = Job(
        values["method"],
        server,
        Server(**values["source"]),
        values["collection"],
        Path(values["home"]),
    )
    try:
        _run(job)
    except NotAvailable as error:
        _say("refused", reason=str(error))


def _run(job: Job) -> None:
    prepared = METHODS[job.method].prepare(job)
    meter = Meter()
    target = prepared.copy()
    _say("copied", target=target, used=meter.read(), peak_bytes=peak_bytes())
    sys.stdin.readline()
    finished = prepared.finish() if prepared.finish else {}
    _say("finished", **finished, peak_bytes=peak_bytes())


def _say(event: str, **values: Any) -> None:
    print(json.dumps({"event": event, **values}, default=_plain), flush=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(type(value))


if __name__ == "__main__":
    main()
