"""Against a real S3: only what is below the prefix is written; what is wrong is one sentence."""

from __future__ import annotations

import pytest

from clone_pipeline.core.bundle.archive import open_place
from clone_pipeline.core.bundle.archive.place import NOTHING, Changed, Place
from clone_pipeline.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from clone_pipeline.core.errors import StoreUnavailable as Unavailable
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests.conftest import S3

from .making import POINTS, dump, load


@pytest.fixture(autouse=True)
def account(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)


def test_nothing_outside_of_the_prefix_is_touched(
    one_store: Stores, elsewhere: Stores, s3: S3
) -> None:
    for key in ("backups/other.txt", "backups/produce/x", "backups/pro", "files/1.mp4"):
        s3.put(key, b"precious")
    before = s3.everything()
    place = open_place(f"s3://{s3.bucket}/backups/prod/", FilesAddress(s3.url))
    dump(one_store, place)
    assert load(elsewhere, place).counts["points"] == POINTS
    after = s3.everything()
    assert {key: after[key] for key in before} == before
    assert all(key.startswith("backups/prod/") for key in after.keys() - before.keys())
    with pytest.raises(Conflict, match=r"holds 'other.txt', which no dump"):
        dump(one_store, open_place(f"s3://{s3.bucket}/backups", FilesAddress(s3.url)))
    place.close()


def test_writes_on_condition(s3: S3) -> None:
    place: Place = open_place(f"s3://{s3.bucket}/a", FilesAddress(s3.url))
    first = place.write("x", [b"1"], NOTHING)
    with pytest.raises(Changed):
        place.write("x", [b"2"], NOTHING)
    second = place.write("x", [b"2"], first)
    with pytest.raises(Changed):
        place.write("x", [b"3"], first)
    stored = place.read("x", 10)
    assert stored == (b"2", second)
    place.remove("x")
    with pytest.raises(Changed):
        place.write("x", [b"3"], second)
    assert place.read("x", 10) is None
    place.close()


@pytest.mark.parametrize(
    "address", ["s3://bucket", "s3://bucket/", "s3://", "file://x/y", "file://"]
)
def test_an_address_without_a_place(address: str) -> None:
    with pytest.raises(InvalidRequest, match="names no"):
        open_place(address, FilesAddress("http://127.0.0.1:9"))


def test_a_bucket_that_is_not_there(one_store: Stores, s3: S3) -> None:
    with pytest.raises(NotFound, match="there is no bucket 'none-there'; make it first"):
        dump(one_store, open_place("s3://none-there/x", FilesAddress(s3.url)))


def test_a_store_that_is_not_there(elsewhere: Stores) -> None:
    with pytest.raises(Unavailable, match=r"The object store of s3://b/x cannot be reached"):
        load(elsewhere, open_place("s3://b/x", FilesAddress("http://127.0.0.1:9")))


def test_credentials_that_may_not(
    one_store: Stores, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Forbidden, match="refuses these credentials"):
        dump(one_store, open_place(f"s3://{s3.bucket}/x", FilesAddress(s3.url)))


def test_no_credentials(one_store: Stores, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(InvalidRequest, match="needs credentials"):
        dump(one_store, open_place(f"s3://{s3.bucket}/x", FilesAddress(s3.url)))
