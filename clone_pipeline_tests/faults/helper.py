"""A process that helps with clones, with a fault (see `ticks`) at a given moment. Its ticks are
those of a step `help`.

    python -m clone_pipeline_tests.faults.helper /path/of/a/file

It ends when that file exists.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.helping import Helper
from clone_pipeline_tests import harness

from .ticks import VARIABLE, Ticks, install

AWAY = 3


def run() -> None:
    """Ends with AWAY where it cannot begin, because a server is away."""
    faults, end = json.loads(os.environ.get(VARIABLE, "{}")), Path(sys.argv[1])
    ticks = Ticks(faults)
    install(ticks, faults)
    ticks.step = "help"
    home = Path(os.environ["CLONE_PIPELINE_HOME"])
    with ExitStack() as stack:
        try:
            stores = stack.enter_context(harness.open_stores(home, os.environ["CATALOG_URL"]))
        except StoreUnavailable:
            sys.exit(AWAY)
        address = replace(stores.vector_address, url=os.environ["QDRANT_URL"])
        helper = Helper(replace(stores, vector_address=address), print)
        while not end.exists():
            try:
                helped = helper.help()
            except StoreUnavailable as error:  # as the command does
                print(error.message)
                helped = False
            if not helped:
                time.sleep(0.05)


if __name__ == "__main__":
    run()
