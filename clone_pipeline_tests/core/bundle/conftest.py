from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core.vectors.embedded import EmbeddedStore


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """An open, empty embedded store."""
    store = EmbeddedStore.open(tmp_path / "qdrant")
    try:
        yield store
    finally:
        store.close()
