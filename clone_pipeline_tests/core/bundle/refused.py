"""A load that is refused, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from clone_pipeline.core.bundle import load
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import BundleError
from clone_pipeline.core.vectors.embedded import EmbeddedStore

from .samples import NOW, rows


class Stores(NamedTuple):
    catalog: Catalog
    vectors: EmbeddedStore
    folder: Path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Shared by all cases: each of them leaves nothing in them."""
    folder = tmp_path_factory.mktemp("stores")
    catalog = Catalog.open(f"sqlite:///{folder / 'catalog.db'}")
    vectors = EmbeddedStore.open(folder / "qdrant")
    yield Stores(catalog, vectors, folder)
    vectors.close()
    catalog.close()


def refused(stores: Stores, folder: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        load(folder, stores.catalog, stores.vectors, NOW)
    assert rows(stores.catalog) == {}
    left = stores.folder / "qdrant" / "collection"
    assert not left.exists() or not list(left.iterdir())
    return caught.value
