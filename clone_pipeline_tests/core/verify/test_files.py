"""`verify_objects`: whether the S3 files exist that a clone's objects refer to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import objects
from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import step as proof

from ...conftest import S3
from .making import Making


@pytest.fixture
def stores_with_files(stores: Stores, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Objects 1 and 2 have a file each, 3 misses one of its two, 4 has its own elsewhere."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    files = {
        "obj_1": [s3.put("one.mp4", b"12345")],
        "obj_2": [s3.put("two ? % #.mp4", b"123")],
        "obj_3": [s3.put("three.mp4", b"1"), missing(s3)],
        "obj_4": ["https://files.example.org/four.mp4"],
    }
    with stores.catalog.write() as connection:
        for object_id, urls in files.items():
            blobs = [{"blob_id": "blob_1", "properties": {"url": url}} for url in urls]
            one = update(objects).where(objects.c.object_id == object_id)
            connection.execute(one.values(document={"blobs": blobs}))
    return replace(stores, files=FilesAddress(s3.url))


def missing(s3: S3) -> str:
    return f"s3://{s3.bucket}/missing.mp4"


def files_of(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name.startswith("files")}


def test_all_asks_for_every_file(stores_with_files: Stores, s3: S3) -> None:
    making = Making.until_copied(stores_with_files, verify_objects="all")
    report = making.prove()
    assert files_of(report.details) == {
        "files": "all",
        "files_checked": 4,
        "files_missing": 1,
        "files_missing_first": [{"object_id": "obj_3", "location": missing(s3)}],
        "files_unreadable": 0,
        "files_elsewhere": 1,
        "files_bytes": 9,
    }
    (warning,) = report.warnings
    assert missing(s3) in warning
    making.publish()
    assert making.status() == "ready"  # the source misses it too


def test_sample_asks_for_the_files_of_a_number_of_objects(
    stores_with_files: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "SAMPLED_OBJECTS", 2)
    making = Making.until_copied(stores_with_files, verify_objects="sample")
    details = making.prove().details
    assert (details["files"], details["files_checked"], details["files_missing"]) == (
        *("sample", 2),
        0,
    )


def test_none_asks_for_no_file(stores: Stores) -> None:
    """Without credentials, and without a server that would answer."""
    making = Making.until_copied(replace(stores, files=FilesAddress("http://127.0.0.1:1")))
    report = making.prove()
    assert files_of(report.details) == {"files": "not checked (verify_objects: none)"}
    assert report.warnings == []


def test_nothing_is_written_to_the_object_store(stores_with_files: Stores, s3: S3) -> None:
    def listed() -> list[tuple[str, Any]]:
        found = s3.client.list_objects_v2(Bucket=s3.bucket)["Contents"]
        return [(item["Key"], item["LastModified"]) for item in found]

    before = listed()
    Making.published(stores_with_files, verify_objects="all")
    assert listed() == before


def test_an_object_store_that_does_not_answer_ends_the_proof_and_may_be_tried_again(
    stores_with_files: Stores, s3: S3
) -> None:
    there = Making.until_copied(stores_with_files, verify_objects="all")
    away = Making(replace(stores_with_files, files=FilesAddress("http://127.0.0.1:1")), there.clone)
    with pytest.raises(StoreUnavailable):
        away.prove()
    assert there.prove().details["files_checked"] == 4
