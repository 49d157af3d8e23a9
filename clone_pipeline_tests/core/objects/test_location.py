"""What the copies of files are called: a pure function, and no two files get one name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.objects.address import FilesAddress, check_prefix
from clone_pipeline.core.objects.location import FileMap, bucket_and_key, hashes

MAP = FileMap("s3://copies/clones/ns_new/clone_1/")

# Keys that stores of files spell in one way, or not at all, beside ordinary ones.
_segments = st.sampled_from(["a", "b", "", ".", "..", "~", "é", "x" * 255, "y" * 256, "\x01", " "])
_keys = st.lists(_segments, min_size=1, max_size=6).map("/".join)
_buckets = st.sampled_from(
    ["one", "two", "~", "arn:aws:s3:us-east-1:1:accesspoint/two", "arn:aws:s3:us-east-1:1:x"]
)
_locations = st.builds(lambda bucket, key: f"s3://{bucket}/{key}", _buckets, _keys) | st.text(
    max_size=40
).map(lambda rest: f"s3://{rest}")


@given(st.lists(_locations, unique=True, max_size=20))
def test_no_two_files_get_one_name(found: list[str]) -> None:
    targets = [MAP.target(location) for location in found]
    there = [target for target in targets if target is not None]
    assert len(set(there)) == len(there)


@given(_locations)
def test_every_store_can_keep_the_name_of_a_copy(location: str) -> None:
    target = MAP.target(location)
    if target is None:
        bucket, key = bucket_and_key(location)
        assert not bucket or not key or "\ud800" <= max(location) or location.startswith(MAP.root)
        return
    bucket, key = bucket_and_key(target)
    segments = key.split("/")
    assert (bucket, key) == ("copies", MAP.key(location))
    assert key.startswith("clones/ns_new/clone_1/")
    assert len(key.encode()) <= 1024
    assert key.isprintable()
    assert not {"", ".", ".."} & set(segments)
    assert max(len(segment.encode()) for segment in segments) <= 255
    assert MAP.target(target) is None  # what is copied stays where it is


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("s3://footage/day 1/a ? % #.mp4", "footage/day 1/a ? % #.mp4"),
        ("s3://arn:aws:s3:us-east-1:1:accesspoint/p/k", "arn:aws:s3:us-east-1:1:accesspoint/p/k"),
    ],
)
def test_a_copy_keeps_its_bucket_and_key_readable(location: str, target: str) -> None:
    assert MAP.target(location) == MAP.root + target


@pytest.mark.parametrize("location", ["https://example.org/a", "footage/a.mp4", "s3://footage/"])
def test_what_names_no_s3_file_has_no_copy(location: str) -> None:
    assert MAP.target(location) is None


def test_the_sha256_of_a_file_is_what_its_blob_says() -> None:
    digest = "ab" * 32
    blobs = [
        {"properties": {"url": "s3://b/1"}, "details": {"hash": f"sha256:{digest.upper()}"}},
        {"data": "s3://b/2", "details": {"hash": "md5:00"}},
        {"key_prefix": "k", "details": None},
    ]
    assert list(hashes({"blobs": blobs})) == [("s3://b/1", digest)]


@pytest.mark.parametrize(
    ("prefix", "folder"), [("", "s3://b/ns_1/"), ("/a/b/", "s3://b/a/b/ns_1/")]
)
def test_copies_go_below_the_prefix_and_the_namespace(prefix: str, folder: str) -> None:
    assert FilesAddress(bucket="b", prefix=check_prefix(prefix)).folder("ns_1") == folder


@pytest.mark.parametrize("prefix", ["a//b", "a/../b", "a/\n", "x" * 300])
def test_a_prefix_that_some_store_could_not_keep_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="it "):
        check_prefix(prefix)
