"""Many copies, each damaged in its own way: all are named, with what is wrong, and made again."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from clone_pipeline.core.files.later import look_again
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests import harness
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.archives.recording import recorded

from .world import World, blob, with_files

pytestmark = pytest.mark.outside

LONG = int(os.environ.get("CLONE_PIPELINE_TEST_EXAMPLES", "1000"))
ERROR = b"<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>"


def body(number: int) -> bytes:
    return f"{number:08}".encode()


def put(content: bytes) -> Callable[[S3, str], object]:
    return lambda copies, key: copies.put(key, content)


def remove(copies: S3, key: str) -> object:
    return copies.client.delete_object(Bucket=copies.bucket, Key=key)


DAMAGES: dict[str, Callable[[S3, str], object]] = {
    "has 3 bytes and not 8": put(b"000"),
    "has 0 bytes and not 8": put(b""),
    "holds other bytes than were written": put(b"-" * 8),
    "is missing": remove,
}


@pytest.fixture(params=[8, pytest.param(LONG, marks=pytest.mark.long)], ids=["few", "many"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def many(
    count: int, s3: S3, copies: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """So many files and one more, which nobody touches."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor(8) as pool:
        urls = list(pool.map(lambda n: s3.put(f"{n:05}", body(n)), range(count + 1)))
    address = FilesAddress(s3.url, bucket=copies.bucket, prefix="clones")
    source = with_files([blob(url) for url in urls], [])
    with harness.holding(tmp_path / "home", source, files=address) as stores:
        yield World(stores, s3, copies)
    empty(copies)


def empty(copies: S3) -> None:
    for page in copies.client.get_paginator("list_objects_v2").paginate(Bucket=copies.bucket):
        if found := [{"Key": one["Key"]} for one in page.get("Contents", [])]:
            copies.client.delete_objects(Bucket=copies.bucket, Delete={"Objects": found})


def test_every_damaged_copy_is_named_with_what_is_wrong_and_made_again(
    count: int, many: World
) -> None:
    clone = many.clone(until="verify_clone")
    key_of = {row["source"]: row["key"] for row in many.rows(clone)}
    chance = random.Random(20261130)
    wrong = {
        f"s3://{many.s3.bucket}/{number:05}": chance.choice(sorted(DAMAGES))
        for number in range(count)
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda url: DAMAGES[wrong[url]](many.copies, key_of[url]), wrong))
    named = [f"the copy of {url} {problem}" for url, problem in sorted(wrong.items())]
    assert look_again(many.stores, clone) == (count + 1, named)
    report = many.step(clone, "verify_clone")
    assert report.details["files_damaged"] == report.details["repaired"] == count
    assert look_again(many.stores, clone) == (count + 1, [])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: read(many, key_of, n), range(count + 1)))
    assert found == [body(number) for number in range(count + 1)]


def read(world: World, key_of: dict[str, str], number: int) -> bytes:
    where = {"Bucket": world.copies.bucket, "Key": key_of[f"s3://{world.s3.bucket}/{number:05}"]}
    content: bytes = world.copies.client.get_object(**where)["Body"].read()
    return content


def test_every_copy_that_the_store_says_to_have_made_and_has_not_is_made(
    count: int, many: World
) -> None:
    """A 200 with an error in its body, as the first answer to each copy."""
    lock, failed = threading.Lock(), set[str]()

    def answer(command: str, path: str, _: str) -> bytes | None:
        with lock:
            if command != "PUT" or path in failed:
                return None
            failed.add(path)
            return ERROR

    with recorded(many.s3.url, answer) as proxy:
        files = replace(many.stores.files, endpoint_url=proxy.url)
        clone = replace(many, stores=replace(many.stores, files=files)).clone(until="verify_clone")
    assert len(failed) == count + 1
    assert look_again(many.stores, clone) == (count + 1, [])
    key_of = {row["source"]: row["key"] for row in many.rows(clone)}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: read(many, key_of, n), range(count + 1)))
    assert found == [body(number) for number in range(count + 1)]
