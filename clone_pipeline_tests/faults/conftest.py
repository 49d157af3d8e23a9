from __future__ import annotations

from pathlib import Path

import pytest

from .bundles import write_namespace
from .checks import Source, look_at_source
from .place import Place


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A data folder with the source in it, loaded by the real command; to be copied, not used."""
    folder = tmp_path_factory.mktemp("loaded")
    place = Place(folder)
    place.good("load", str(write_namespace(folder / "in")))
    return place


@pytest.fixture(scope="session")
def before(loaded: Place, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The source as it is before anything is cloned."""
    return look_at_source(loaded, tmp_path_factory.mktemp("before") / "dump")


@pytest.fixture
def place(loaded: Place, tmp_path: Path) -> Place:
    """A data folder of the test's own with the source in it."""
    return loaded.copy(tmp_path / "place")
