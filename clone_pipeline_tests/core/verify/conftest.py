"""Fixtures: stores with a source in them, and a clone of it in the middle of its making."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clone_pipeline.core.stores import Stores, VectorAddress

from ... import harness
from ..bundle.samples import exact, read_bundle
from .source import source


@contextmanager
def _stores(catalog_url: str | None, address: VectorAddress, home: Path) -> Iterator[Stores]:
    with harness.holding(
        home, source(f"test_{uuid.uuid4().hex}"), catalog_url=catalog_url, vector_address=address
    ) as stores:
        yield stores
        harness.remove_collections(stores)


@pytest.fixture(params=["embedded", "server"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> VectorAddress:
    """The test runs once on each vector store."""
    if request.param == "embedded":
        return VectorAddress(folder=tmp_path / "qdrant")
    url = request.getfixturevalue("qdrant_url")
    return VectorAddress(folder=tmp_path / "qdrant", url=url)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """The embedded defaults."""
    with _stores(None, VectorAddress(folder=tmp_path / "qdrant"), tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_each_catalog(catalog_url: str, tmp_path: Path) -> Iterator[Stores]:
    with _stores(catalog_url, VectorAddress(folder=tmp_path / "qdrant"), tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_each_qdrant(address: VectorAddress, tmp_path: Path) -> Iterator[Stores]:
    with _stores(None, address, tmp_path) as opened:
        yield opened


@pytest.fixture
def stores_on_a_server(qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    with _stores(None, VectorAddress(tmp_path / "qdrant", qdrant_url), tmp_path) as opened:
        yield opened


@pytest.fixture
def dumped(tmp_path: Path) -> Callable[[Stores, str], dict[str, str]]:
    """Every file of a namespace's bundle, as texts that are equal where the documents are."""

    def dump(stores: Stores, name: str) -> dict[str, str]:
        folder = harness.dump(stores, name, tmp_path / uuid.uuid4().hex)
        return {file: exact(content) for file, content in read_bundle(folder).items()}

    return dump
