"""`kill -9` while files are copied: what goes on has each file once, whole, and nothing besides."""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.ledger.files import read_files
from clone_pipeline_tests import harness
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.archives.recording import Recorder, recorded
from clone_pipeline_tests.core.files.world import blob, with_files

from .checks import find_clones
from .place import Outcome, Place

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "30"))
PART = 5 * 2**20
BODIES = {f"{number:02}.mp4": b"%d" % number for number in range(60)} | {
    "large.mp4": bytes(range(256)) * (2 * PART // 256 + 1)
}
FAULTS = {"largest_copy": PART, "marked": 4}


@dataclass(frozen=True)
class Files:
    """`proxy` stands before the S3, and `marked` has the copies that the ledger knew to be made
    before the last clone began."""

    place: Place
    s3: S3
    bucket: str
    proxy: Recorder
    marked: set[str] = field(default_factory=set)

    def clone(self, **faults: object) -> Outcome:
        """What was marked as copied is not copied again: only what was under way is."""
        before = len(self.proxy.requests)
        process = self.place.start_child("copy", {**FAULTS, **faults}, files="copy")
        try:
            return process.end()
        finally:
            process.kill()
            written = {path for method, path, _ in self.proxy.requests[before:] if method == "PUT"}
            assert written & self.marked == set()
            self._note_marked()

    def _note_marked(self) -> None:
        with self.place.stores() as stores:
            for clone in find_clones(stores, "copy"):
                rows = read_files(stores.catalog, clone.clone_id, "copied")
                self.marked.update(f"{self.bucket}/{row.key}" for row in rows)

    def there(self) -> dict[str, bytes]:
        found = self.s3.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            item["Key"]: self.s3.client.get_object(Bucket=self.bucket, Key=item["Key"])[
                "Body"
            ].read()
            for item in found
        }

    def assert_whole(self) -> None:
        """One clone is ready; its files are there, once, and no upload is left half done."""
        with self.place.stores() as stores:
            (clone,) = [one for one in find_clones(stores, "copy") if one.status != "discarded"]
        assert clone.status == "ready"
        folder = f"{clone.plan['target']['namespace_id']}/{clone.clone_id}/{self.s3.bucket}"
        assert self.there() == {f"{folder}/{key}": body for key, body in BODIES.items()}
        self.assert_no_uploads()

    def assert_no_uploads(self) -> None:
        found = self.s3.client.list_multipart_uploads(Bucket=self.bucket)
        assert found.get("Uploads") is None

    def take_away(self) -> None:
        with self.place.stores() as stores:
            for clone in find_clones(stores, "copy"):
                if clone.status == "ready":
                    delete_clone(stores, None, "copy")
                elif clone.status != "discarded":
                    discard(stores, clone)
        assert self.there() == {}
        self.assert_no_uploads()


@pytest.fixture
def files(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    bucket = f"copies-{uuid.uuid4().hex}"
    s3.client.create_bucket(Bucket=bucket)
    with recorded(s3.url) as proxy:
        env = {**s3.env, "S3_ENDPOINT_URL": proxy.url, "CLONE_FILES_BUCKET": bucket}
        place = Place(tmp_path / "place", env)
        place.home.mkdir(parents=True)
        urls = [s3.put(key, body) for key, body in BODIES.items()]
        with place.stores() as stores:
            source = with_files(
                [blob(url) for url in urls[::2]],
                [{"document_blobs": [{"url": url}]} for url in urls[1::2]],
            )
            harness.load(stores, {**source, "namespace.json": named(source)})
        one = Files(place, s3, bucket, proxy)
        yield one
        one.take_away()
    s3.client.delete_bucket(Bucket=bucket)


def named(source: harness.Files) -> dict[str, object]:
    """Under the name that the child asks for."""
    return {**source["namespace.json"], "namespace_name": "source"}


def assert_killed(outcome: Outcome) -> None:
    assert outcome.code == -signal.SIGKILL, outcome


@pytest.mark.long
def test_a_clone_that_is_killed_while_it_copies_files_is_whole_in_the_end(files: Files) -> None:
    for moment, nth in (
        ("copy_files:file copy:after", 3),
        ("copy_files:file copy_part:after", 2),
        ("copy_files:file finish_parts:after", 1),
        ("copy_files:write:uncommitted", 2),
        ("verify_clone:write:committed", 3),
    ):
        assert_killed(files.clone(kill=[moment, nth]))
    outcome = files.clone()
    assert outcome.code == 0, outcome
    files.assert_whole()


def test_a_killed_clone_that_is_discarded_leaves_no_file(files: Files) -> None:
    assert_killed(files.clone(kill=["copy_files:file copy_part:after", 1]))
    assert len(files.there()) > 0
    files.take_away()


@pytest.mark.long
def test_kills_at_random_moments_of_the_files(files: Files, tmp_path: Path) -> None:
    chance = random.Random(20260508)
    record = tmp_path / "ticks"
    assert files.clone(record=str(record)).code == 0
    files.assert_whole()
    files.take_away()
    seen: dict[str, int] = defaultdict(int)
    for moment in record.read_text().splitlines():
        if moment.partition(":")[0] in ("copy_files", "verify_clone"):
            seen[moment] += 1
    killed = 0
    while killed < KILLS:
        moment = chance.choice(sorted(seen))
        outcome = files.clone(kill=[moment, chance.randint(1, seen[moment])])
        if outcome.code == 0:
            files.assert_whole()
            files.take_away()
            continue
        assert_killed(outcome)
        killed += 1
        if chance.random() < 0.2:
            files.take_away()
    assert files.clone().code == 0
    files.assert_whole()
