"""A Dagster process that ends when the one that started it does, however that one ended.

    python -m clone_pipeline.api.child MODULE [ARGUMENTS...]

Its stdin is a pipe that only the parent holds: when it closes, the parent is gone. Else a killed
`serve` would leave a daemon behind, and the next one would start a second.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_the_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_parent, name="parent", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
