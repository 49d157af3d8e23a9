"""Fixtures: a source with files in S3, and a bucket for copies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.conftest import S3

from .world import World, blob, with_files


@pytest.fixture
def copies(s3: S3) -> Iterator[S3]:
    """One more bucket, on the same server."""
    bucket = f"copies-{uuid.uuid4().hex}"
    s3.client.create_bucket(Bucket=bucket)
    one = S3(s3.url, bucket, s3.client, s3.env)
    yield one
    for key in one.everything():
        s3.client.delete_object(Bucket=bucket, Key=key)
    s3.client.delete_bucket(Bucket=bucket)


@pytest.fixture(scope="session")
def other_s3_url() -> Iterator[str]:
    """A second server, which knows nothing of the first one's buckets."""
    try:
        with servers.s3() as url:
            yield url
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


@pytest.fixture
def other_copies(other_s3_url: str) -> Iterator[S3]:
    """A bucket there."""
    bucket, client = f"copies-{uuid.uuid4().hex}", servers.s3_client(other_s3_url)
    try:
        client.create_bucket(Bucket=bucket)
        yield S3(other_s3_url, bucket, client, servers.s3_environment(other_s3_url))
    finally:
        client.close()


@pytest.fixture
def world(
    catalog_url: str, tmp_path: Path, s3: S3, copies: S3, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Two objects with a file each, one of which is also a point's source, a thumbnail that only a
    point refers to, a file that is not there, and what is no S3 file at all."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    one = s3.put("day 1/one ? %.mp4", b"12345")
    two = s3.put("two.mp4", b"123")
    thumbnail = s3.put("thumbs/one.jpg", b"jpeg")
    files = with_files(
        [blob(one, b"12345"), blob(two), blob(missing(s3)), blob("https://example.org/a.mp4")],
        [
            {"processing": {"source_url": one}},
            {"document_blobs": [{"role": "thumbnail", "url": thumbnail}]},
        ],
    )
    address = FilesAddress(endpoint_url=s3.url, bucket=copies.bucket, prefix="clones")
    with harness.holding(
        tmp_path / "home", files, catalog_url=catalog_url, files=address
    ) as stores:
        yield World(stores, s3, copies)


def missing(s3: S3) -> str:
    return f"s3://{s3.bucket}/missing.mp4"
