"""An embedded store in this process and in another one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clone_pipeline.core.vectors.embedded import EmbeddedStore


@contextmanager
def opened(folder: Path, **options: object) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore.open(folder, **{"wait_seconds": 30, **options})  # type: ignore[arg-type]
    try:
        yield store
    finally:
        store.close()


@contextmanager
def other_process(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Runs `script` with `EmbeddedStore` and `folder` at hand; `say` gives `next_line`."""
    head = (
        "import sys; from pathlib import Path\n"
        "from clone_pipeline.core.vectors.embedded import EmbeddedStore\n"
        "from clone_pipeline_tests.core.vectors.points import PLAIN, plain_points\n"
        "folder = Path(sys.argv[1])\n"
        "def say(text): print(text, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", head + script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
