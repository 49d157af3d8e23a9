"""A bundle whose files are none, lead elsewhere, are too long or change: named, nothing left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clone_pipeline.core.bundle import files, load
from clone_pipeline.core.errors import BundleError
from clone_pipeline_tests.sources import write_bundle

from .refused import Stores, refused, stores
from .samples import NOW, rows, sample

__all__ = ["stores"]  # a fixture


def test_a_folder_that_is_none_is_refused(stores: Stores, tmp_path: Path) -> None:
    assert "No such file" in refused(stores, tmp_path / "nowhere").message
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(stores, tmp_path / "file").message


def test_a_file_that_is_no_file_is_refused(stores: Stores, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "pipe", sample() | {"points.jsonl": None})
    os.mkfifo(folder / "points.jsonl")
    error = refused(stores, folder)
    assert (error.details["file"], error.details["line"]) == ("points.jsonl", None)
    folder = write_bundle(tmp_path / "folder", sample() | {"objects.jsonl": None})
    (folder / "objects.jsonl").mkdir()
    assert "not a regular file" in refused(stores, folder).message


FILES = ["namespace.json", "qdrant.json", "points.jsonl", "objects.jsonl", "taxonomies.jsonl"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("target", ["nowhere", "/nowhere/at/all", "itself"])
def test_a_link_that_leads_nowhere_is_no_absent_file(
    stores: Stores, tmp_path: Path, file: str, target: str
) -> None:
    folder = write_bundle(tmp_path / "bundle", sample() | {file: None})
    (folder / file).symlink_to(file if target == "itself" else target)
    error = refused(stores, folder)
    assert (error.details["file"], error.details["line"]) == (file, None)
    assert "leads nowhere" in error.message


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("relative", [True, False])
def test_a_link_that_leads_out_of_the_bundle_is_refused(
    stores: Stores, tmp_path: Path, file: str, relative: bool
) -> None:
    folder = write_bundle(tmp_path / "bundle", sample())
    (folder / file).rename(tmp_path / "elsewhere")
    target = Path("../elsewhere") if relative else tmp_path / "elsewhere"
    # By way of another link, which is in the bundle.
    (folder / "between").symlink_to(target)
    (folder / file).symlink_to("between")
    error = refused(stores, folder)
    assert error.details["file"] == file
    assert "leads out of the bundle" in error.message


def test_links_within_a_bundle_and_to_it_are_followed(stores: Stores, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", sample() | {"buckets.jsonl": "{}\n"})
    (folder / "buckets.jsonl").rename(folder / "really.jsonl")
    (folder / "buckets.jsonl").symlink_to("really.jsonl")
    (tmp_path / "link").symlink_to("bundle")
    assert "`bucket_id` is missing" in refused(stores, tmp_path / "link").message


def test_a_line_beyond_the_bound_is_refused(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 1000)
    bucket = {"bucket_id": "bkt_a", "bucket_name": "a"}
    lines = [bucket, bucket | {"x": "x" * 1000}]
    error = refused(stores, write_bundle(tmp_path, sample() | {"buckets.jsonl": lines}))
    assert (error.details["file"], error.details["line"]) == ("buckets.jsonl", 2)
    assert "longer than 1000 bytes" in error.message


@pytest.mark.parametrize("when", ["points", "objects"])
def test_a_file_that_changes_meanwhile_is_refused(
    stores: Stores, tmp_path: Path, when: str
) -> None:
    folder = write_bundle(tmp_path, sample())

    def spoil(what: str, _done: int) -> None:
        if what == when:
            (folder / "objects.jsonl").write_text("{}")

    with pytest.raises(BundleError, match=r"objects\.jsonl: changed while") as caught:
        load(folder, stores.catalog, stores.vectors, NOW, spoil)
    assert caught.value.details["line"] is None
    assert rows(stores.catalog) == {}
    assert not stores.vectors.exists("ns_prod_store")
