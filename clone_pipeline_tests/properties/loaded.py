"""Stores with one random namespace in them, and what all that is compared comes down to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clone_pipeline.core.stores import Stores

from .. import harness
from .namespaces import Source

# Read at import: no test sees the environment.
LONG_EXAMPLES = int(os.environ.get("CLONE_PIPELINE_TEST_EXAMPLES", "200"))


@contextmanager
def loaded(source: Source) -> Iterator[tuple[Stores, Path]]:
    """Stores that hold nothing but the source, and their folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with harness.holding(home, source.write(home / "source")) as stores:
            yield stores, home


def nothing(found: list[str], what: object) -> None:
    first = "\n".join(found[:20])
    assert not found, f"{len(found)} places, with {what}:\n{first}"
