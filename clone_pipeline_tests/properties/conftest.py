from __future__ import annotations

from pathlib import Path

import pytest

from .. import harness


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite catalog with its tables, to be copied: making them is half of an example's time."""
    home = tmp_path_factory.mktemp("template")
    with harness.open_stores(home):
        pass
    return home / "catalog.db"
