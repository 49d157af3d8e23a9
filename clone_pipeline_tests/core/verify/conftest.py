"""Fixtures: stores with a source in them, and a clone of it in the middle of its making."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import clones, namespaces
from clone_pipeline.core.stores import Stores, VectorAddress

from ... import harness
from ..bundle.samples import exact, read_bundle, write_bundle
from .source import source


@contextmanager
def _stores(catalog_url: str, address: VectorAddress, home: Path) -> Iterator[Stores]:
    catalog = Catalog.open(catalog_url)
    try:
        stores = Stores(catalog=catalog, vector_address=address)
        harness.load(stores, write_bundle(home / "source", source(f"test_{uuid.uuid4().hex}")))
        yield stores
        _remove_collections(stores)
    finally:
        catalog.close()


def _remove_collections(stores: Stores) -> None:
    """The server may be somebody's own."""
    with stores.catalog.read() as connection:
        names = set(connection.execute(select(clones.c.qdrant_collection)).scalars())
        for document in connection.execute(select(namespaces.c.document)).scalars():
            names.add(document["infrastructure"]["qdrant_collection"])
    with stores.vectors() as vectors:
        for name in names:
            vectors.delete(name)


@pytest.fixture(params=["embedded", "server"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> VectorAddress:
    """The test runs once on each vector store."""
    if request.param == "embedded":
        return VectorAddress(folder=tmp_path / "qdrant")
    url = request.getfixturevalue("qdrant_url")
    return VectorAddress(folder=tmp_path / "qdrant", url=url)


@pytest.fixture
def stores(sqlite_url: str, tmp_path: Path) -> Iterator[Stores]:
    """The embedded defaults."""
    with _stores(sqlite_url, VectorAddress(folder=tmp_path / "qdrant"), tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_each_catalog(catalog_url: str, tmp_path: Path) -> Iterator[Stores]:
    with _stores(catalog_url, VectorAddress(folder=tmp_path / "qdrant"), tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_each_qdrant(
    sqlite_url: str, address: VectorAddress, tmp_path: Path
) -> Iterator[Stores]:
    with _stores(sqlite_url, address, tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_a_server(sqlite_url: str, qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    with _stores(sqlite_url, VectorAddress(tmp_path / "qdrant", qdrant_url), tmp_path) as opened:
        yield opened


@pytest.fixture
def dumped(tmp_path: Path) -> Callable[[Stores, str], dict[str, str]]:
    """Every file of a namespace's bundle, as texts that are equal where the documents are."""

    def dump(stores: Stores, name: str) -> dict[str, str]:
        folder = harness.dump(stores, name, tmp_path / uuid.uuid4().hex)
        return {file: exact(content) for file, content in read_bundle(folder).items()}

    return dump
