"""The core's steps in a process of their own, with a fault (see `ticks`) at a given moment: what
the command line does to the stores, in a fraction of its time.

    python -m clone_pipeline_tests.faults.child '{"name": "copy", "concurrent_slices": 3}'

Its argument is the request, without the source, and maybe the policy that asks. Exit code 0: the
clone is ready.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from clone_pipeline_tests import harness

from .bundles import NAME
from .place import files_of
from .ticks import VARIABLE, Ticks, install


def run() -> None:
    faults = json.loads(os.environ.get(VARIABLE, "{}"))
    install(Ticks(faults), faults)
    home = Path(os.environ["CLONE_PIPELINE_HOME"])
    with harness.open_stores(home, os.environ.get("CATALOG_URL")) as stores:
        address = replace(
            stores.vector_address,
            url=os.environ.get("QDRANT_URL"),
            source_api_key=os.environ.get("QDRANT_SOURCE_API_KEY"),
        )
        files = files_of(os.environ)
        options = {"include_resources": harness.everything(), **json.loads(sys.argv[1])}
        made = harness.clone(
            replace(stores, vector_address=address, files=files),
            NAME,
            options.pop("name"),
            run_id=f"run-{os.getpid()}-{time.time_ns()}",
            **options,
        )
    assert made.status == "ready", made.status


if __name__ == "__main__":
    run()
