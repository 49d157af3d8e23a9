"""From one environment into another, each with an S3 of its own: files go through us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.archives.recording import recorded
from clone_pipeline_tests.environments.two import Known

from .world import ELSEWHERE, World, of_production

pytestmark = pytest.mark.outside


@pytest.fixture
def staging(
    tmp_path: Path, s3: S3, other_copies: S3, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    with of_production(tmp_path, FilesAddress(s3.url), s3, other_copies) as world:
        yield world


def test_files_come_over_from_another_environment(staging: World) -> None:
    before = staging.everything(staging.s3)
    clone = staging.clone(**ELSEWHERE)
    folder = staging.folder(clone) + staging.s3.bucket
    assert staging.everything(staging.copies) == {
        f"{folder}/day 1/one ? %.mp4": b"12345",
        f"{folder}/thumbs/one.jpg": b"jpeg",
    }
    assert f"s3://{staging.s3.bucket}/" not in staging.texts(clone)
    assert [row["proof"] for row in staging.rows(clone)] == ["etag", "etag"]
    report = staging.reports(clone)["copy_files"]
    assert report.details["bytes_through_this_process"] == 9
    plan = clone.plan["files"]
    assert plan is not None
    assert plan["way"] == "through this process"
    (leaves,) = plan["leaves"]
    assert (leaves["bucket"], leaves["from"]) == (staging.s3.bucket, staging.s3.url)
    assert any(f"leave {staging.s3.url} for" in one for one in clone.plan["warnings"])
    delete_clone(staging.stores, None, "copy")
    assert staging.everything(staging.copies) == {}
    assert staging.everything(staging.s3) == before


def test_files_that_the_target_cannot_read_are_not_shared(staging: World) -> None:
    with pytest.raises(InvalidRequest, match=r"`files: share` is not possible here.* use `files"):
        staging.clone(files="share", **ELSEWHERE)


def test_the_sources_store_is_only_read(staging: World, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = staging.stores.elsewhere
    assert elsewhere is not None
    there = elsewhere.open("production")
    with recorded(staging.s3.url) as proxy:
        watched = Known("production", replace(there, files=FilesAddress(proxy.url)))
        stores = replace(staging.stores, elsewhere=watched)
        clone = replace(staging, stores=stores).clone(**ELSEWHERE)
        assert clone.status == "ready"
        assert proxy.requests
        assert proxy.written() == set()


def test_without_a_bucket_to_copy_to_it_is_refused_in_one_sentence(staging: World) -> None:
    stores = replace(staging.stores, files=FilesAddress(staging.copies.url))
    with pytest.raises(InvalidRequest, match="needs a bucket to copy to: set CLONE_FILES_BUCKET"):
        replace(staging, stores=stores).clone(**ELSEWHERE)
