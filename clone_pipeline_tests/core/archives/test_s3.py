"""Of S3 only what is below the archive's own prefix is written, and the files that a namespace
refers to are not even read: told by every request that reaches the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.restore_test import run_archive_test
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.conftest import S3

from .conftest import BEGIN, World
from .recording import Recorder, recorded

pytestmark = pytest.mark.outside


@pytest.fixture
def recorder(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    with recorded(s3.url) as recorder:
        yield recorder


@pytest.fixture
def world(tmp_path: Path, s3: S3, recorder: Recorder) -> Iterator[World]:
    """A namespace whose objects refer to files in the very bucket that archives go into."""
    files, now = prod(), [BEGIN]
    for document in files["objects.jsonl"]:
        key = f"files/{document['object_id']}"
        document["blobs"] = [{"properties": {"url": s3.put(key)}}]
    more: dict[str, Any] = {"clock": lambda: now[0], "files": FilesAddress(recorder.url)}
    with harness.holding(tmp_path / "home", files, **more) as stores:
        yield World(stores, f"s3://{s3.bucket}/backups/prod", now)


def test_nothing_outside_of_the_prefix_is_written_and_no_file_read(
    world: World, s3: S3, recorder: Recorder
) -> None:
    for key in ("backups/prod", "backups/prod/night", "backups/prod/night_00", "backups/other/x"):
        s3.put(key, b"precious")
    precious = s3.everything()
    below = f"{s3.bucket}/backups/prod/night_0/"
    made = world.write("night_0")
    assert run_archive_test(world.stores, LOCAL_OPERATOR, made, "test").good
    world.go_on(days=1)
    world.write("night_1")
    assert [one.archive.name for one in world.sweep(last=1).removed] == ["night_0"]
    written = recorder.written()
    assert written
    assert all(path.startswith((below, below.replace("_0/", "_1/"))) for path in written)
    # Looked at is only what lies there, too: a list by its prefix, a file by its key.
    for method, path, query in recorder.requests:
        assert method in ("GET", "PUT", "DELETE")
        assert path.startswith(f"{s3.bucket}/backups/prod/night_") or (
            path == s3.bucket and "prefix=backups%2Fprod%2Fnight_" in query
        ), (method, path, query)
    after = s3.everything()
    assert {key: after.get(key) for key in precious} == precious
    left = after.keys() - precious.keys()
    assert left
    assert all(key.startswith("backups/prod/night_1/") for key in left)


@pytest.mark.long
def test_a_whole_week_of_archives_leaves_what_keep_says(world: World, s3: S3) -> None:
    for number in range(7):
        world.write(f"night_{number}")
        world.sweep(daily=2)
        world.go_on(days=1)
    with world.stores.catalog.read() as connection:
        there = records.list_archives(connection, None, "ready")
    assert [one.name for one in there] == ["night_5", "night_6"]
    prefixes = {key.split("/")[2] for key in s3.everything() if key.startswith("backups/")}
    assert prefixes == {"night_5", "night_6"}


def test_one_whose_store_is_away_is_failed_and_can_be_gone_on_with(world: World) -> None:
    away = replace(world.stores, files=FilesAddress("http://127.0.0.1:9"))
    wanted = Wanted("prod", f"{world.place}/night_0", policy="nightly")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        archive_namespace(away, wanted, LOCAL_OPERATOR, "run-away")
    assert world.listed()["night_0"].status == "failed"
    assert world.write("night_0").status == "ready"
