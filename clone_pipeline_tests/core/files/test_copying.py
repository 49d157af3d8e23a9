"""`files: copy`: a clone that owns every file it refers to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clone_pipeline.core.errors import NotFound

from .conftest import missing
from .world import World


def test_every_file_is_copied_once_and_every_location_is_its_copys(world: World) -> None:
    before = world.everything(world.s3)
    clone = world.clone()
    folder = world.folder(clone) + f"{world.s3.bucket}/"
    assert world.everything(world.copies) == {
        f"{folder}day 1/one ? %.mp4": b"12345",
        f"{folder}two.mp4": b"123",
        f"{folder}thumbs/one.jpg": b"jpeg",
    }
    assert world.everything(world.s3) == before
    there = f"s3://{world.copies.bucket}/{folder}"
    documents = world.documents(clone)
    found = [one["blobs"][0]["properties"]["url"] for one in documents[:4]]
    assert found == [
        f"{there}day 1/one ? %.mp4",
        f"{there}two.mp4",
        f"{there}missing.mp4",
        "https://example.org/a.mp4",
    ]
    assert documents[4]["_internal"]["processing"] == {"source_url": f"{there}day 1/one ? %.mp4"}
    thumbnail = {"role": "thumbnail", "url": f"{there}thumbs/one.jpg"}
    assert documents[5]["_internal"]["document_blobs"] == [thumbnail]
    assert clone.status == "ready"


def test_what_is_missing_in_the_source_is_told_and_fails_nothing(world: World) -> None:
    clone = world.clone()
    report = world.reports(clone)["copy_files"]
    (warning,) = report.warnings
    assert missing(world.s3) in warning
    assert (report.details["files_copied"], report.details["files_missing"]) == (3, 1)


def test_each_copy_is_marked_with_what_proved_it(world: World) -> None:
    """By what the store has made of the bytes alone: this one carries ETags over, so that all are
    read back."""
    clone = world.clone()
    proven = {row["source"].rpartition("/")[2]: row["proof"] for row in world.rows(clone)}
    assert proven == {
        "one ? %.mp4": "checksum",
        "two.mp4": "etag",
        "one.jpg": "etag",
        "missing.mp4": None,
    }
    details = world.reports(clone)["verify_clone"].details
    assert details["files_proven"] == {"checksum": 1, "etag": 2, "size": 0}


def test_a_bucket_that_is_not_there_is_one_sentence_before_anything_is_written(
    world: World,
) -> None:
    files = replace(world.stores.files, bucket="not-there-at-all")
    elsewhere = replace(world, stores=replace(world.stores, files=files))
    with pytest.raises(NotFound, match=r"no bucket 'not-there-at-all' .* make it first"):
        elsewhere.clone()


def test_the_plan_tells_how_many_files_and_bytes_and_where_they_go(world: World) -> None:
    plan = world.clone().plan["files"]
    assert plan is not None
    assert (plan["files"], plan["bytes"]) == (
        3,
        15,
    )  # two sizes are guessed by the one that is told
    assert (plan["way"], plan["leaves"]) == ("inside the object store", [])
    assert plan["into"].startswith(f"s3://{world.copies.bucket}/clones/ns_")


def test_shared_files_are_left_alone(world: World) -> None:
    clone = world.clone(files="share")
    assert world.everything(world.copies) == {}
    assert world.rows(clone) == []
    assert f"s3://{world.s3.bucket}/two.mp4" in world.texts(clone)
    report = world.reports(clone)["copy_files"]
    assert (report.status, report.details["reason"]) == ("skipped", "skipped: files are shared")
