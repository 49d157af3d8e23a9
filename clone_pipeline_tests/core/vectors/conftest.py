"""Fixtures: the embedded store and a real Qdrant server, behind the same port."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import CollectionConfig
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.core.vectors.server import ServerStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "qdrant"


@pytest.fixture
def embedded(folder: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore.open(folder, wait_seconds=0)
    yield store
    store.close()


@pytest.fixture
def server(qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerStore]:
    """What a test creates there is removed after it: the server may be somebody's own."""
    store = ServerStore.open(qdrant_url)
    create, made = store.create, list[str]()

    def recorded(collection: str, config: CollectionConfig, **more: Any) -> None:
        made.append(collection)
        create(collection, config, **more)

    monkeypatch.setattr(store, "create", recorded)
    yield store
    for collection in made:
        store.delete(collection)
    store.close()


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> VectorStore:
    """The test runs once on each store."""
    found: VectorStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def name() -> Callable[[], str]:
    """Makes names of collections."""
    return lambda: f"test_{uuid.uuid4().hex}"
