"""An adopted collection with custom sharding, whose points are known by shard key and id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.points import pages
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ..faults.rest import ask
from .shapes import SHAPES, keys_of, made, path
from .test_adopt import adopt, contents, stores_at

SHAPE = SHAPES["custom shard keys"]
POINTS = SHAPE.points * len(SHAPE.filled)
Key = int | str


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture
def stores(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Every key has several slices, of several pages."""
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 25)
    monkeypatch.setattr(pages, "FIRST_PAGE", 10)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    with stores_at(url, tmp_path) as stores:
        yield stores


@pytest.fixture
def docs(url: str, stores: Stores) -> Iterator[str]:
    """The Qdrant collection of the adopted namespace `docs`."""
    with made(url, SHAPE) as collection:
        adopt(stores, collection)
        yield collection


def put(url: str, collection: str, key: Key, *ids: int, **payload: Any) -> None:
    points = [{"id": id, "vector": [0.5] * 6, "payload": payload} for id in ids]
    body = {"points": points, "shard_key": key}
    ask(url, f"{path(collection)}/points?wait=true", body, "PUT")


def remove(url: str, collection: str, key: Key, *ids: int) -> None:
    body = {"points": ids, "shard_key": key}
    ask(url, f"{path(collection)}/points/delete?wait=true", body)


def step(stores: Stores, clone: Clone, name: str) -> StepReport:
    return run_step(stores, clone.clone_id, str(clone.run_id), name, process_goes_on=True)


def assert_same(stores: Stores, url: str, docs: str, clone: Clone) -> None:
    """Independent of the product, then the product's own word."""
    assert contents(url, clone.qdrant_collection, SHAPE) == contents(url, docs, SHAPE)
    assert keys_of(url, clone.qdrant_collection) != []
    assert set(keys_of(url, clone.qdrant_collection)) == set(keys_of(url, docs))
    assert verify_sealed(stores, None, "copy").unchanged
    assert verify_pair(stores, None, "docs", "copy").equal
