"""A Qdrant server of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clone_pipeline_tests import qdrant_server
from clone_pipeline_tests.qdrant_server import Qdrant

__all__ = ["Qdrant", "running"]


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Qdrant]:
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: put `qdrant` on the PATH")
    server = Qdrant(folder, **settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()
