"""One S3, for copying: every request that is made of it, and what its refusals mean.

A 200 may carry an error in its body, of a copy above all: the client reads it, takes it for a 500,
and asks again (botocore.handlers._handle_200_error).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from ..errors import InvalidRequest, NotFound, StorageFailed, StoreUnavailable
from ..objects.address import FilesAddress
from ..objects.heads import Answer
from ..objects.s3 import ATTEMPTS, BUSY, ObjectStore, open_client, sentence, unusable

_CONDITION_FAILED = (409, 412)
_DELETED_AT_ONCE = 1000
# What a file is served with, beside its bytes: whoever writes a copy has to say it again.
_SERVED = (
    *("ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage"),
    *("CacheControl", "Metadata", "WebsiteRedirectLocation"),
)


class Missing(Exception):
    """There is no such file, or no such bucket."""


class Refused(Exception):
    """The store does not give the file out, or does not take it; says what it said."""


class Changed(Exception):
    """A condition does not hold: the source is another one by now, or the target is there."""


@dataclass(frozen=True)
class Described:
    """A file with all that is known of it. `checksums` are those that the store keeps of the whole
    file, by the name of the algorithm as its answers spell it (`ChecksumSHA256`)."""

    size: int
    etag: str
    served: Mapping[str, Any]
    checksums: Mapping[str, str]


class Files:
    """The files of one S3. Safe to use from several threads.

    Raises Missing, Refused and Changed of single files; StoreUnavailable, StorageFailed,
    InvalidRequest.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._heads = ObjectStore(client)
        self._where: str = client.meta.endpoint_url

    @classmethod
    def open(cls, where: FilesAddress) -> Files:
        """Nothing is asked for yet. Raises InvalidRequest for settings that cannot be used."""
        return cls(open_client(where))

    def close(self) -> None:
        self._heads.close()

    # Looking

    def look(self, bucket: str, key: str) -> Answer:
        """Size and ETag of a file."""
        answer = self._heads.ask(bucket, key)
        if answer.status in (404, 410):
            raise Missing
        if answer.status != 200:
            raise Refused(f"{answer.status}")
        return answer

    def describe(self, bucket: str, key: str) -> Described:
        with self._translated(bucket):
            found = self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        size = int(found["ContentLength"])
        return Described(
            size, _unquoted(found["ETag"]), self._served(bucket, key, found), _whole(found)
        )

    def _served(self, bucket: str, key: str, found: Mapping[str, Any]) -> dict[str, Any]:
        served = {name: found[name] for name in _SERVED if found.get(name)}
        if found.get("TagCount"):
            with self._translated(bucket):
                tags = self._client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
            served["Tagging"] = _as_query(tags)
        return served

    def read_first(self, bucket: str, key: str, most: int) -> tuple[Described, bytes]:
        """A file as it is now, by one request: what is known of it, and its first `most` bytes."""
        whole = {"Bucket": bucket, "Key": key}
        try:
            with self._translated(bucket):
                found = self._client.get_object(**whole, Range=f"bytes=0-{most - 1}")
        except Refused as error:
            if str(error) not in ("InvalidRange", "416"):
                raise
            with self._translated(bucket):
                found = self._client.get_object(**whole)  # an empty one has no first byte
        with self._translated(bucket), found["Body"] as body:
            content: bytes = body.read(most)
        size = int(found.get("ContentRange", f"/{found['ContentLength']}").rpartition("/")[2])
        served = self._served(bucket, key, found)
        return Described(size, _unquoted(found["ETag"]), served, {}), content

    def read_part(self, bucket: str, key: str, etag: str, first: int, last: int) -> bytes:
        """These bytes of a file that still has the ETag; tried again where they break off."""
        for attempt in range(ATTEMPTS):
            try:
                with self._translated(bucket):
                    found = self._client.get_object(
                        Bucket=bucket,
                        Key=key,
                        IfMatch=f'"{etag}"',
                        Range=f"bytes={first}-{last}",
                    )
                    with found["Body"] as body:
                        content: bytes = body.read()
                        return content
            except StoreUnavailable:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError  # never reached

    @contextmanager
    def reading(self, bucket: str, key: str, etag: str) -> Iterator[Any]:
        """The file's content, to be read in parts: that of this ETag, or Changed is raised."""
        with self._translated(bucket):
            found = self._client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
            with found["Body"] as body:
                yield body

    def region(self, bucket: str) -> str | None:
        """Where a bucket is, if the store says it. Raises NotFound for one that is not there."""
        try:
            with self._translated(bucket):
                found = self._client.head_bucket(Bucket=bucket)
        except Missing:
            raise NotFound(
                f"There is no bucket {bucket!r} at {self._where} to copy files to; make it first."
            ) from None
        except Refused as error:
            raise InvalidRequest(
                f"The bucket {bucket!r} at {self._where}, to which files would be copied, refuses "
                f"these credentials ({error})."
            ) from None
        region: str | None = found.get("BucketRegion")
        return region

    def region_or_none(self, bucket: str) -> str | None:
        try:
            return self.region(bucket)
        except (NotFound, InvalidRequest):
            return None  # its files will say so themselves

    # Copying

    def copy(self, bucket: str, key: str, source: tuple[str, str], etag: str) -> Mapping[str, Any]:
        """Copies a file of at most 5 GB inside the store, if it still has that ETag, and if there
        is nothing in its place. Returns the store's word of what it wrote."""
        with self._translated(bucket):
            answer = self._client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": source[0], "Key": source[1]},
                CopySourceIfMatch=f'"{etag}"',
                IfNoneMatch="*",
                # Made by the store of the bytes that it wrote, where it can.
                ChecksumAlgorithm="SHA256",
            )
        written: Mapping[str, Any] = answer["CopyObjectResult"]
        return written

    def put(self, bucket: str, key: str, body: bytes, served: Mapping[str, Any]) -> str:
        """Writes a file where there is none. Returns its ETag."""
        with self._translated(bucket):
            answer = self._client.put_object(
                Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", **served
            )
        return _unquoted(answer["ETag"])

    def begin_parts(self, bucket: str, key: str, how: Mapping[str, Any]) -> str:
        """Begins a file that is written in parts. Returns the id of the upload."""
        with self._translated(bucket):
            answer = self._client.create_multipart_upload(Bucket=bucket, Key=key, **how)
        upload_id: str = answer["UploadId"]
        return upload_id

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        with self._translated(bucket):
            answer = self._client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        return _unquoted(answer["ETag"])

    def copy_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        source: tuple[str, str],
        etag: str,
        part: tuple[int, int],
    ) -> Mapping[str, Any]:
        """Copies the bytes `part`, first and last, inside the store."""
        with self._translated(bucket):
            answer = self._client.upload_part_copy(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": source[0], "Key": source[1]},
                CopySourceIfMatch=f'"{etag}"',
                CopySourceRange=f"bytes={part[0]}-{part[1]}",
            )
        written: Mapping[str, Any] = answer["CopyPartResult"]
        return written

    def finish_parts(
        self, bucket: str, key: str, upload_id: str, parts: list[dict[str, Any]]
    ) -> Mapping[str, Any]:
        """Makes one file of the parts, if there is nothing in its place."""
        with self._translated(bucket):
            answer: Mapping[str, Any] = self._client.complete_multipart_upload(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
        return answer

    # Removing

    def abort_parts(self, bucket: str, key: str, upload_id: str) -> None:
        try:
            with self._translated(bucket):
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except Missing:
            return

    def unfinished(self, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and id of every upload below a prefix that is neither finished nor aborted."""
        more: dict[str, str] = {}
        while True:
            with self._translated(bucket):
                page = self._client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **more)
            for upload in page.get("Uploads", []):
                if upload["Key"].startswith(prefix):
                    yield upload["Key"], upload["UploadId"]
            if not page.get("IsTruncated"):
                return
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def remove(self, bucket: str, keys: Iterable[str]) -> int:
        """Removes these files and no other; those that are not there count, too."""
        removed, batch = 0, list[str]()
        for key in keys:
            batch.append(key)
            if len(batch) == _DELETED_AT_ONCE:
                removed += self._remove(bucket, batch)
                batch = []
        return removed + (self._remove(bucket, batch) if batch else 0)

    def _remove(self, bucket: str, keys: list[str]) -> int:
        try:
            with self._translated(bucket):
                answer = self._client.delete_objects(
                    Bucket=bucket,
                    Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
                )
        except Refused as error:
            raise StorageFailed(
                f"Files below s3://{bucket}/{keys[0]} could not be removed ({error})."
            ) from None
        for refused in answer.get("Errors", []):
            raise StorageFailed(
                f"s3://{bucket}/{refused.get('Key')} could not be removed "
                f"({refused.get('Code') or 'no reason given'})."
            )
        return len(keys)

    @contextmanager
    def _translated(self, bucket: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._meaning(error, bucket) from error
        except ParamValidationError as error:
            raise Missing from error  # nothing can be there under such a name
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise InvalidRequest(
                "To copy S3 files needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY."
            ) from error
        except (
            ConnectionError,
            HTTPClientError,
            IncompleteReadError,
            CredentialRetrievalError,
        ) as error:
            raise StoreUnavailable(
                f"The object store {self._where} cannot be reached: {sentence(error)}."
            ) from error
        except BotoCoreError as error:
            raise unusable(error) from error

    def _meaning(self, error: ClientError, bucket: str) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in ("NoSuchKey", "NoSuchBucket", "NoSuchUpload") or status in (404, 410):
            return Missing()
        if status in _CONDITION_FAILED:
            return Changed()
        if status in BUSY or status < 300:
            # A 200 whose body says that it failed stays one, however often it is tried.
            return StoreUnavailable(
                f"The object store {self._where} answered {code or status} to {ATTEMPTS} attempts."
            )
        return Refused(code or str(status))


def _unquoted(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _whole(found: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of a whole file; of several parts there is one of their checksums, too."""
    if found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return {}
    return {
        name: value
        for name, value in found.items()
        if name.startswith("Checksum") and name != "ChecksumType" and "-" not in value
    }


def _as_query(tags: list[dict[str, str]]) -> str:
    from urllib.parse import urlencode

    return urlencode([(tag["Key"], tag["Value"]) for tag in tags])
