"""From any documents: locations are what an oracle says, and each file is copied exactly once."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests import harness
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.archives.recording import recorded

from .world import World, with_files

pytestmark = pytest.mark.outside

BUCKET = "BUCKET"  # stands for the test's own
KEYS = ["a", "a b", "dir/a", "dir/ä?%#.mp4", "b/" + "x" * 200, "gone/1", "gone/2", "gone/2 "]
THERE = [key for key in KEYS if not key.startswith("gone")]
files = st.sampled_from(KEYS).map(lambda key: f"s3://{BUCKET}/{key}")
elsewhere = st.sampled_from(
    ["https://example.org/a", "a/key", f"s3://{BUCKET}", f"s3://{BUCKET}/", "", "S3://x/y"]
)
locations = files | elsewhere
# What stands at places of locations, and the same at places that only look like them.
blobs = st.fixed_dictionaries(
    {"property": st.just("video")},
    optional={
        "properties": st.fixed_dictionaries(
            {}, optional={"url": locations, "poster": locations, "presigned_url": locations}
        ),
        "data": locations | st.fixed_dictionaries({"url": locations}),
        "key_prefix": locations,
        "metadata": st.fixed_dictionaries({"url": locations}),
    },
)
documents = st.fixed_dictionaries(
    {"blobs": st.lists(blobs, max_size=3)}, optional={"key_prefix": locations, "url": locations}
)
payload_blobs = st.lists(
    st.fixed_dictionaries(
        {"role": st.just("thumbnail")}, optional={"url": locations, "other": locations}
    ),
    max_size=2,
)
insides = st.fixed_dictionaries(
    {},
    optional={
        "processing": st.fixed_dictionaries(
            {}, optional={"source_url": locations, "object_key_source": locations}
        ),
        "document_blobs": payload_blobs,
        "source_blobs": payload_blobs,
        "metadata": st.fixed_dictionaries({"source_url": locations}),
    },
)


class Oracle:
    """Written without the table: what a person would do by hand, noting each file on the way."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.seen: set[str] = set()

    def location(self, holder: dict[str, Any], key: str) -> None:
        text = holder.get(key)
        if isinstance(text, str) and text.startswith("s3://") and text.split("/", 3)[3:] > [""]:
            self.seen.add(text)
            holder[key] = self.root + text.removeprefix("s3://")

    def object(self, document: dict[str, Any]) -> None:
        self.location(document, "key_prefix")
        for blob in document["blobs"]:
            for key in ("data", "key_prefix"):
                self.location(blob, key)
            for key in ("properties", "data"):
                if isinstance(holder := blob.get(key), dict):
                    self.location(holder, "url")
            blob.get("properties", {}).pop("presigned_url", None)

    def inside(self, inside: dict[str, Any]) -> None:
        for key in ("source_url", "object_key_source"):
            self.location(inside.get("processing", {}), key)
        for key in ("document_blobs", "source_blobs"):
            for blob in inside.get(key, []):
                self.location(blob, "url")


@pytest.fixture
def setup(s3: S3, copies: S3, monkeypatch: pytest.MonkeyPatch) -> tuple[S3, S3]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    for key in THERE:
        s3.put(key, key.encode())
    return s3, copies


@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    objects=st.lists(documents, max_size=4),
    payloads=st.lists(insides, max_size=4),
)
def test_locations_are_the_oracles_and_each_file_is_copied_exactly_once(
    setup: tuple[S3, S3], objects: list[dict[str, Any]], payloads: list[dict[str, Any]]
) -> None:
    s3, copies = setup
    for key in copies.everything():
        copies.client.delete_object(Bucket=copies.bucket, Key=key)

    def named(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(BUCKET, s3.bucket))

    bundle = with_files([], named(payloads))
    bundle["objects.jsonl"] = [
        {"object_id": f"obj_{number}", "bucket_id": "bkt_1", **document}
        for number, document in enumerate(named(objects))
    ]
    with tempfile.TemporaryDirectory() as folder, recorded(s3.url) as proxy:
        address = FilesAddress(proxy.url, bucket=copies.bucket, prefix="clones")
        with harness.holding(Path(folder) / "home", bundle, files=address) as stores:
            world = World(stores, s3, copies)
            clone = world.clone()
            oracle = Oracle(f"s3://{copies.bucket}/{world.folder(clone)}")
            expected = copy.deepcopy(named(objects)), copy.deepcopy(named(payloads))
            for document in expected[0]:
                oracle.object(document)
            for inside in expected[1]:
                oracle.inside(inside)
            found = world.documents(clone)
            assert found[: len(objects)] == expected[0]
            for one, inside in zip(found[len(objects) :], expected[1], strict=True):
                kept = {key: one["_internal"].get(key) for key in inside}
                assert kept == inside
            there = {one for one in oracle.seen if one.split("/", 3)[3] in THERE}
            assert world.everything(copies) == {
                world.folder(clone) + one.removeprefix("s3://"): one.split("/", 3)[3].encode()
                for one in there
            }
            written = [path for method, path, _ in proxy.requests if method == "PUT"]
            assert len(written) == len(set(written)) == len(there)
            assert {row["source"] for row in world.rows(clone)} == oracle.seen
