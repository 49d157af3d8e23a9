"""One large file, by each way: in parts, and in memory that does not grow with it.

CLONE_PIPELINE_TEST_BYTES is how large. Above 5 GB the store's own limit makes the parts; below, one
that is lowered for the test.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.files import transfer as module
from clone_pipeline.core.files.proof import Prover
from clone_pipeline.core.files.store import Files
from clone_pipeline.core.files.transfer import STREAMED_PART, Transfer
from clone_pipeline.core.ledger.files import FileRow
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests import servers

pytestmark = [pytest.mark.outside, pytest.mark.long]

PART = 32 * 2**20
BYTES = int(os.environ.get("CLONE_PIPELINE_TEST_BYTES", str(8 * PART)))
SOURCE, COPIES, KEY = "source", "copies", "large.mp4"


def content() -> Iterator[bytes]:
    """Parts of which no two are the same."""
    for first in range(0, BYTES, PART):
        yield f"{first:020}".encode() + bytes(min(PART, BYTES - first) - 20)


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two servers, the first of which has the file."""
    try:
        with servers.s3(tmp_path) as one, servers.s3(tmp_path) as other:
            for url in (one, other):
                with closing(servers.s3_client(url)) as client:
                    client.create_bucket(Bucket=COPIES)
            with closing(servers.s3_client(one)) as client:
                client.create_bucket(Bucket=SOURCE)
                put(client)
            yield one, other
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


def put(client: Any) -> None:
    where = {"Bucket": SOURCE, "Key": KEY}
    upload = client.create_multipart_upload(**where, ContentType="video/mp4")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)[
                "ETag"
            ],
        }
        for number, part in enumerate(content(), 1)
    ]
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("inside", [True, False], ids=["inside one store", "between two"])
def test_a_large_file_is_copied_in_parts_and_in_bounded_memory(
    inside: bool, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in servers.s3_environment(urls[0]).items():
        monkeypatch.setenv(name, value)
    if BYTES <= module.LARGEST_COPY:
        monkeypatch.setattr(module, "LARGEST_COPY", PART)
        monkeypatch.setattr(module, "COPIED_PART", PART)
    values = dict.fromkeys(FileRow.__dataclass_fields__)
    values |= {"file_id": "1", "source": f"s3://{SOURCE}/{KEY}", "key": f"mine/{KEY}"}
    row = FileRow(**{**values, "state": "pending"})
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(closing(Files.open(FilesAddress(url))))
            for url in (urls[0], urls[0] if inside else urls[1])
        )
        transfer = Transfer(source, target, COPIES, inside=inside)
        tracemalloc.start()
        try:
            copied = transfer.copy(row)
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (copied["state"], copied["size"]) == ("copied", BYTES)
        assert transfer.bytes_through_us == (0 if inside else BYTES)
        assert held < 4 * STREAMED_PART
        made = FileRow(**{**row.__dict__, **copied})
        problem, proof = Prover(source, target, COPIES).check(made, read_back=True)
        assert (problem, proof in ("checksum", "etag")) == (None, True)
        with target.reading(COPIES, row.key, copied["etag"]) as body:
            found = sha256()
            while part := body.read(PART):
                found.update(part)
    expected = sha256()
    for part in content():
        expected.update(part)
    assert found.hexdigest() == expected.hexdigest()
