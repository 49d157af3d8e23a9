"""One S3, for copying: every request that is made of it.

Small files are copied and written by the bucket's route (`ObjectStore.send`), because the client
would take as long over them as the store does; all else goes through the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import quote

from ..errors import InvalidRequest, NotFound, StorageFailed, StoreUnavailable
from ..objects.address import FilesAddress
from ..objects.location import ARN
from ..objects.s3 import ATTEMPTS, Answer, ObjectStore, open_client
from .refusals import Missing, Refused, translated
from .served import Described, as_headers, served_as, unquoted, whole_checksums

_DELETED_AT_ONCE = 1000
_COPIED = re.compile(r"<(ETag|Checksum[A-Z0-9]+)>([^<]*)</\1>")


class Files:
    """The files of one S3. Safe to use from several threads.

    Raises Missing, Refused and Changed of single files; StoreUnavailable, StorageFailed,
    InvalidRequest.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._store = ObjectStore(client)
        self._where: str = client.meta.endpoint_url

    @classmethod
    def open(cls, where: FilesAddress) -> Files:
        """Nothing is asked for yet. Raises InvalidRequest for settings that cannot be used."""
        return cls(open_client(where))

    def close(self) -> None:
        self._store.close()

    # Looking

    def look(self, bucket: str, key: str) -> Answer:
        """Size and ETag of a file."""
        answer = self._store.ask(bucket, key)
        if answer.status in (404, 410):
            raise Missing
        if answer.status != 200:
            raise Refused(f"{answer.status}")
        return answer

    def describe(self, bucket: str, key: str) -> Described:
        with translated(self._where):
            found = self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        size = int(found["ContentLength"])
        return Described(
            size, unquoted(found["ETag"]), self._served(bucket, key, found), whole_checksums(found)
        )

    def _served(self, bucket: str, key: str, found: Mapping[str, Any]) -> dict[str, Any]:
        tags: list[dict[str, str]] = []
        if found.get("TagCount"):
            with translated(self._where):
                tags = self._client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return served_as(found, tags)

    def read_first(self, bucket: str, key: str, most: int) -> tuple[Described, bytes]:
        """A file as it is now, by one request: what is known of it, and its first `most` bytes."""
        whole = {"Bucket": bucket, "Key": key}
        try:
            with translated(self._where):
                found = self._client.get_object(**whole, Range=f"bytes=0-{most - 1}")
        except Refused as error:
            if str(error) not in ("InvalidRange", "416"):
                raise
            with translated(self._where):
                found = self._client.get_object(**whole)  # an empty one has no first byte
        with translated(self._where), found["Body"] as body:
            content: bytes = body.read(most)
        size = int(found.get("ContentRange", f"/{found['ContentLength']}").rpartition("/")[2])
        served = self._served(bucket, key, found)
        return Described(size, unquoted(found["ETag"]), served, {}), content

    def read_part(self, bucket: str, key: str, etag: str, first: int, last: int) -> bytes:
        """These bytes of a file that still has the ETag; tried again where they break off."""
        for attempt in range(ATTEMPTS):
            try:
                with translated(self._where):
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
        with translated(self._where):
            found = self._client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
            with found["Body"] as body:
                yield body

    def region(self, bucket: str) -> str | None:
        """Where a bucket is, if the store says it. Raises NotFound for one that is not there."""
        try:
            with translated(self._where):
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
        # What else it answers, a 200 with an error in its body too, is for the client to hear.
        if not source[0].startswith(ARN):
            headers = {
                "if-none-match": "*",
                "x-amz-checksum-algorithm": "SHA256",
                "x-amz-copy-source": quote("/".join(source), safe="/~"),
                "x-amz-copy-source-if-match": f'"{etag}"',
            }
            response = self._store.send("PUT", bucket, key, headers)
            if response is not None and response.status == 200:
                said = dict(_COPIED.findall(response.body.decode(errors="replace")))
                if b"<CopyObjectResult" in response.body and "ETag" in said:
                    return {name: unescape(value) for name, value in said.items()}
        with translated(self._where):
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
        headers = {"if-none-match": "*", **as_headers(served)}
        response = self._store.send("PUT", bucket, key, headers, body)
        if response is not None and response.status == 200 and response.etag:
            return response.etag
        with translated(self._where):
            answer = self._client.put_object(
                Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", **served
            )
        return unquoted(answer["ETag"])

    def begin_parts(self, bucket: str, key: str, how: Mapping[str, Any]) -> str:
        """Begins a file that is written in parts. Returns the id of the upload."""
        with translated(self._where):
            answer = self._client.create_multipart_upload(Bucket=bucket, Key=key, **how)
        upload_id: str = answer["UploadId"]
        return upload_id

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        with translated(self._where):
            answer = self._client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        return unquoted(answer["ETag"])

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
        with translated(self._where):
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
        with translated(self._where):
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
            with translated(self._where):
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except Missing:
            return

    def unfinished(self, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and id of every upload below a prefix that is neither finished nor aborted."""
        more: dict[str, str] = {}
        while True:
            with translated(self._where):
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
            with translated(self._where):
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
