"""A namespace with a bit of everything, loaded; and places for its archives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive.place import Place
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.sources import write_bundle

from .making import many_points


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    """The namespace `prod` in an embedded Qdrant, on each database."""
    with harness.open_stores(tmp_path / "home", catalog_url) as stores:
        harness.load(stores, write_bundle(tmp_path / "in", many_points()))
        yield stores


@pytest.fixture
def one_store(tmp_path: Path) -> Iterator[Stores]:
    """The same on SQLite alone, for what the database is nothing to."""
    (tmp_path / "home").mkdir()
    with harness.open_stores(tmp_path / "home") as stores:
        harness.load(stores, write_bundle(tmp_path / "in", many_points()))
        yield stores


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.outside)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place for an archive: a folder, and a prefix of a real S3 server."""
    if request.param == "file":
        yield archive.open_place((tmp_path / "archive").as_uri(), FilesAddress())
        return
    yield from _in_s3(request)


def _in_s3(request: pytest.FixtureRequest) -> Iterator[Place]:
    s3: S3 = request.getfixturevalue("s3")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in s3.env.items():
        patch.setenv(name, value)
    place = archive.open_place(f"s3://{s3.bucket}/backups/prod", FilesAddress(s3.url))
    try:
        yield place
    finally:
        place.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Stores]:
    """An empty deployment."""
    (tmp_path / "elsewhere").mkdir()
    with harness.open_stores(tmp_path / "elsewhere") as stores:
        yield replace(stores)
