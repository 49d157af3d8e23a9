"""One file, by each way that there is: inside the store or through us, whole or in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest

from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.files import transfer as module
from clone_pipeline.core.files.proof import Prover
from clone_pipeline.core.files.refusals import Refused
from clone_pipeline.core.files.store import Files
from clone_pipeline.core.files.transfer import Transfer
from clone_pipeline.core.ledger.files import FileRow
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.objects.connections import Connections, NotAnswered, OddlyAnswered
from clone_pipeline.core.objects.signing import Route
from clone_pipeline_tests import servers
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.archives.recording import recorded

pytestmark = pytest.mark.outside

PART = 5 * 2**20  # the least that S3 takes for all parts but the last
BODY = b"".join(hashlib.sha256(str(n).encode()).digest() * 4096 for n in range(90))  # 11 MiB
SERVED = {
    "ContentType": "video/mp4",
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="a  b.mp4"',
    "Metadata": {"owner": "somebody"},
    "Tagging": "kind=raw&shown+as=a%2Fb",
}
TAGS = [{"Key": "kind", "Value": "raw"}, {"Key": "shown as", "Value": "a/b"}]


@dataclass(frozen=True)
class Way:
    """`url` is where the target is spoken to."""

    s3: S3
    copies: S3
    source: Files
    target: Files
    inside: bool

    def transfer(self) -> Transfer:
        return Transfer(self.source, self.target, self.copies.bucket, inside=self.inside)

    def row(self, key: str, body: bytes, **more: Any) -> FileRow:
        self.s3.client.put_object(Bucket=self.s3.bucket, Key=key, Body=body, **SERVED)
        values = dict.fromkeys(FileRow.__dataclass_fields__)
        values |= {"file_id": "1", "source": f"s3://{self.s3.bucket}/{key}", "state": "pending"}
        return FileRow(**{**values, "key": f"mine/{key}", **more})

    def copied(self, row: FileRow) -> Any:
        return self.copies.client.get_object(Bucket=self.copies.bucket, Key=row.key)

    def proven(self, row: FileRow, values: dict[str, Any]) -> tuple[str | None, str | None]:
        now = FileRow(**{**row.__dict__, **values})
        return Prover(self.source, self.target, self.copies.bucket).check(now, read_back=True)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Way]]:
    for name, value in servers.s3_environment("").items():
        if name != "S3_ENDPOINT_URL":
            monkeypatch.setenv(name, value)
    for name in ("STREAMED_PART", "COPIED_PART", "LARGEST_COPY"):
        monkeypatch.setattr(module, name, PART)
    with ExitStack() as stack:

        def open_way(s3: S3, copies: S3, *, inside: bool, target_url: str | None = None) -> Way:
            files = [
                stack.enter_context(closing(Files.open(FilesAddress(url))))
                for url in (s3.url, target_url or copies.url)
            ]
            return Way(s3, copies, files[0], files[1], inside)

        yield open_way


@pytest.fixture(params=["inside", "through us", "between two servers"])
def way(request: pytest.FixtureRequest, s3: S3, copies: S3, opened: Callable[..., Way]) -> Way:
    if request.param == "between two servers":
        copies = request.getfixturevalue("other_copies")
    return opened(s3, copies, inside=request.param == "inside")


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART, len(BODY)])
def test_a_copy_has_the_bytes_and_what_they_are_served_with(size: int, way: Way) -> None:
    body = BODY[:size]
    row = way.row("a ? %é.mp4", body)
    values = way.transfer().copy(row)
    there = way.copied(row)
    assert there["Body"].read() == body
    assert (there["ContentType"], there["CacheControl"]) == ("video/mp4", "max-age=60")
    assert there["Metadata"] == SERVED["Metadata"]
    assert there["ContentDisposition"] == SERVED["ContentDisposition"]
    tags = way.copies.client.get_object_tagging(Bucket=way.copies.bucket, Key=row.key)["TagSet"]
    assert sorted(tags, key=lambda tag: str(tag["Key"])) == TAGS
    assert (values["state"], values["size"]) == ("copied", size)
    # What went through us, the store has made an ETag of; what it copied itself is read back.
    assert values["proof"] == (None if way.inside else "etag")
    assert way.proven(row, values)[0] is None
    assert way.proven(row, values)[1] in ("checksum", "etag")
    assert way.copies.client.list_multipart_uploads(Bucket=way.copies.bucket).get("Uploads") is None


def test_the_sha256_that_an_object_says_proves_a_copy(way: Way) -> None:
    row = way.row("a", BODY, sha256=hashlib.sha256(BODY).hexdigest())
    values = way.transfer().copy(row)
    assert way.proven(row, {**values, "proof": None}) == (None, "checksum")
    lies = FileRow(**{**row.__dict__, "sha256": "0" * 64})
    assert (
        way.proven(lies, {**values, "proof": None})[0] is None
    )  # the object says it, not the file


def test_parts_are_proven_by_the_checksum_that_the_store_makes_of_them(
    s3: S3, copies: S3, opened: Callable[..., Way]
) -> None:
    """Where the source has one of the same kind, of the whole file, from when it was written."""
    way = opened(s3, copies, inside=True)
    row = way.row("a", b"")
    client, where = s3.client, {"Bucket": s3.bucket, "Key": "a"}
    kind = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload = client.create_multipart_upload(**where, **kind)["UploadId"]
    s3.put("plain", BODY)
    parts = []
    for number, first in enumerate(range(0, len(BODY), PART), 1):
        last = min(first + PART, len(BODY)) - 1
        made = client.upload_part_copy(
            **where,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": s3.bucket, "Key": "plain"},
            CopySourceRange=f"bytes={first}-{last}",
        )["CopyPartResult"]
        del made["LastModified"]
        parts.append({"PartNumber": number, **made})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    values = way.transfer().copy(row)
    assert values["proof"] == "checksum"
    assert way.proven(row, values) == (None, "checksum")


def test_a_leftover_of_a_killed_attempt_proves_nothing(way: Way) -> None:
    row = way.row("a", b"12345")
    way.copies.client.put_object(Bucket=way.copies.bucket, Key=row.key, Body=b"half")
    assert way.transfer().copy(row)["state"] == "copied"
    assert way.copied(row)["Body"].read() == b"12345"


def test_a_source_that_changes_while_it_is_copied_is_copied_as_it_is_then(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, look, read_first = way.row("a", b"before" * 2**20), Files.look, Files.read_first
    changes = iter([b"later"])

    def then_changes(inner: Callable[..., Any]) -> Callable[..., Any]:
        def changed(self: Files, bucket: str, key: str, *more: int) -> Any:
            found = inner(self, bucket, key, *more)
            for body in changes:
                way.s3.client.put_object(Bucket=way.s3.bucket, Key=key, Body=body)
                break
            return found

        return changed

    if way.inside:
        monkeypatch.setattr(Files, "look", then_changes(look))
    else:
        monkeypatch.setattr(Files, "read_first", then_changes(read_first))
    values = way.transfer().copy(row)
    assert (values["state"], values["size"]) == ("copied", 5)
    assert way.copied(row)["Body"].read() == b"later"


def test_small_files_are_written_by_requests_of_our_own(way: Way) -> None:
    """The client, which takes as long over one as the store does, is asked once for each bucket."""
    sent: list[str] = []
    for files in {way.source, way.target}:
        files._client.meta.events.register(
            "before-send.s3", lambda request, **_: sent.append(request.method)
        )
    transfer = way.transfer()
    rows = [way.row(f"{number}.mp4", BODY[:number]) for number in range(3)]
    assert [transfer.copy(row)["state"] for row in rows] == ["copied"] * 3
    assert [way.copied(row)["Body"].read() for row in rows] == [BODY[:n] for n in range(3)]
    assert "PUT" not in sent
    assert sent.count("HEAD") == (2 if way.inside else 1)


@pytest.mark.parametrize(("lost", "often"), [(NotAnswered, 1), (OddlyAnswered, 9)])
def test_a_file_whose_answer_is_lost_is_copied_by_the_client(
    lost: type[NotAnswered], often: int, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for is done, and stands in the way."""
    ask, times = Connections.ask, iter(range(often))

    def loses(self: Connections, route: Route, request: bytes, body: bytes = b"") -> Any:
        response = ask(self, route, request, body)
        if request.startswith(b"PUT ") and next(times, None) is not None:
            raise lost
        return response

    monkeypatch.setattr(Connections, "ask", loses)
    row = way.row("a ? %é.mp4", b"12345")
    values = way.transfer().copy(row)
    assert values["state"] == "copied"
    assert way.copied(row)["Body"].read() == b"12345"
    assert way.proven(row, values)[0] is None


def test_what_is_not_there_is_missing(way: Way) -> None:
    row = way.row("a", b"")
    for source in (f"s3://{way.s3.bucket}/none", "s3://no-such-bucket-there/a", "s3://X/a"):
        gone = FileRow(**{**row.__dict__, "source": source})
        assert way.transfer().copy(gone)["state"] == "missing"


def test_a_bucket_that_the_targets_store_does_not_know_goes_through_us(
    s3: S3, other_copies: S3, opened: Callable[..., Way]
) -> None:
    """Two stores that are taken for one."""
    way = opened(s3, other_copies, inside=True)
    row = way.row("a", b"12345")
    transfer = way.transfer()
    with ThreadPoolExecutor(4) as pool:
        rows = [row, *(way.row(f"a{number}", b"12345") for number in range(7))]
        assert {one["proof"] for one in pool.map(transfer.copy, rows)} == {"etag"}
    assert transfer.bytes_through_us == 8 * 5
    assert way.copied(row)["Body"].read() == b"12345"


def test_one_file_that_is_refused_does_not_send_its_bucket_through_us(
    s3: S3, copies: S3, opened: Callable[..., Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    way = opened(s3, copies, inside=True)
    archived, row, transfer = way.row("archived", b"1"), way.row("a", b"12"), way.transfer()

    def refuses(*_: Any) -> Any:
        raise Refused("InvalidObjectState")

    with monkeypatch.context() as patched:
        patched.setattr(Files, "copy", refuses)
        patched.setattr(Files, "read_first", refuses)
        assert transfer.copy(archived)["error"] == "the store answers InvalidObjectState"
    assert transfer.copy(row)["state"] == "copied"
    assert transfer.bytes_through_us == 0


ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
    b"<Message>We encountered an internal error. Please try again.</Message></Error>"
)
ANSWERS = {
    "a copy": (PART, "PUT", ""),
    "a part": (len(BODY), "PUT", "partNumber=2"),
    "the last of the parts": (len(BODY), "POST", "uploadId="),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
def test_a_200_with_an_error_in_its_body_is_an_error(
    what: str, always: bool, s3: S3, copies: S3, opened: Callable[..., Way]
) -> None:
    size, method, query = ANSWERS[what]
    asked: list[str] = []

    def answer(command: str, path: str, asked_for: str) -> bytes | None:
        mine = command == method and path.startswith(copies.bucket) and query in asked_for
        if not mine or (asked and not always):
            return None
        asked.append(path)
        return ERROR

    with recorded(copies.url, answer) as proxy:
        way = opened(s3, copies, inside=True, target_url=proxy.url)
        row = way.row("a", BODY[:size])
        if always:
            with pytest.raises(
                StoreUnavailable, match=r"^s3://.*/a is not copied: .* answered InternalError"
            ):
                way.transfer().copy(row)
        else:
            assert way.transfer().copy(row)["state"] == "copied"
            assert way.copied(row)["Body"].read() == BODY[:size]
    assert asked
    uploads = copies.client.list_multipart_uploads(Bucket=copies.bucket)
    assert uploads.get("Uploads") is None
