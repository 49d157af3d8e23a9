"""The real command line in a process of its own, with a fault (see `ticks`) at a given moment.

FAULTS='{"kill_at": 17}' python -m clone_pipeline_tests.faults.driver clone SOURCE NAME
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Any

from dagster import DagsterInstance

from clone_pipeline.cli.main import main
from clone_pipeline.defs import outcome as job_step
from clone_pipeline_tests import dagster_files

from .ticks import VARIABLE, Ticks, around, install, wait_for


def _retry_at_once(gate: str | None, *_: Any) -> float:
    """The tests' own wait: until something happened, not for some seconds."""
    if gate is not None:
        wait_for(gate)
    return 0.0


def run() -> None:
    faults = json.loads(os.environ.get(VARIABLE, "{}"))
    job_step._wait = partial(_retry_at_once, faults.get("retry"))
    ticks = Ticks(faults)
    install(ticks, faults)
    around(DagsterInstance, "handle_new_event", "dagster event", ticks)
    sys.argv[0] = "clone-pipeline"
    with dagster_files.made_once():
        main()


if __name__ == "__main__":
    run()
