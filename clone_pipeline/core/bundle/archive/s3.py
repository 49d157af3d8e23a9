"""An archive below a prefix of an S3 bucket.

By botocore, which the check of files has brought: it signs, tries again and finds credentials as
that does. Files are sent and fetched whole, since none is larger than a part, so nothing of what
smart_open, obstore or fsspec add would be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from ...errors import (
    CloneError,
    Forbidden,
    InvalidRequest,
    NotFound,
    StorageFailed,
    StoreUnavailable,
)
from ...objects.address import FilesAddress
from ...objects.location import bucket_and_key
from ...objects.s3 import ATTEMPTS, BUSY, open_client, sentence, unusable
from .pieces import Joined, Pieces
from .place import ANYTHING, NOTHING, Changed, Stored

T = TypeVar("T")

# Of a write on condition: it does not hold, or another one is under way.
_CONDITION_FAILED = (409, 412)


class S3Place:
    """Everything below a prefix; the client is closed with it."""

    def __init__(self, client: Any, address: str) -> None:
        """Raises InvalidRequest for an address without a prefix."""
        bucket, prefix = bucket_and_key(address)
        self.address = address.rstrip("/")
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/"
        if not bucket or self._prefix == "/":
            raise InvalidRequest(
                f"{address} names no prefix: write s3://bucket/prefix, so that an archive is "
                "alone below it."
            )

    @classmethod
    def open(cls, address: str, files: FilesAddress) -> S3Place:
        """Raises InvalidRequest for an address or settings that cannot be used."""
        client = open_client(files)
        try:
            return cls(client, address)
        except BaseException:
            client.close()
            raise

    def close(self) -> None:
        self._client.close()

    def sizes(self) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        with self._translated():
            return {
                item["Key"].removeprefix(self._prefix): item["Size"]
                for page in pages
                for item in page.get("Contents", [])
                # What consoles make for a folder, if somebody made one.
                if item["Key"] != self._prefix
            }

    def read(self, name: str, most: int) -> Stored | None:
        return self._again(lambda: self._read(name, most))

    def _read(self, name: str, most: int) -> Stored | None:
        try:
            with self._translated():
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
                with answer["Body"] as body:
                    return Stored(body.read(most + 1), answer["ETag"])
        except _NoSuchKey:
            return None

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        condition: dict[str, str] = {}
        if over == NOTHING:
            condition = {"IfNoneMatch": "*"}
        elif over != ANYTHING:
            condition = {"IfMatch": over}
        try:
            with self._translated():
                answer = self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + name, Body=Joined(data), **condition
                )
        except _NoSuchKey:  # it is gone since, whose version was asked for
            raise Changed from None
        version: str = answer["ETag"]
        return version

    def remove(self, name: str) -> None:
        with self._translated():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def tidy(self) -> None:
        return None  # there are no folders

    def _again(self, operation: Callable[[], T]) -> T:
        """The client tries requests again by itself, but not the reading of an answer."""
        for _ in range(ATTEMPTS - 1):
            try:
                return operation()
            except StoreUnavailable:
                continue
        return operation()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._refused(error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise InvalidRequest(
                f"{self.address} needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY."
            ) from error
        except ParamValidationError as error:
            raise InvalidRequest(
                f"{self.address} cannot be an address in S3: write s3://bucket/prefix."
            ) from error
        except (ConnectionError, HTTPClientError, CredentialRetrievalError) as error:
            raise StoreUnavailable(
                f"The object store of {self.address} cannot be reached: {sentence(error)}."
            ) from error
        except BotoCoreError as error:
            raise unusable(error) from error

    def _refused(self, error: ClientError) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status in _CONDITION_FAILED:
            return Changed()
        if code == "NoSuchBucket":
            return NotFound(f"{self.address}: there is no bucket {self._bucket!r}; make it first.")
        if status == 404:
            return _NoSuchKey("")
        if status in (401, 403):
            return Forbidden(
                f"{self.address}: the store refuses these credentials ({code}); they need to "
                "list, read, write and delete below the prefix (a load only to list and read)."
            )
        if status in BUSY:
            return StoreUnavailable(
                f"The object store of {self.address} is busy: it answered {status} to {ATTEMPTS} "
                "attempts."
            )
        return StorageFailed(f"{self.address}: the store refuses the request ({code or status}).")


class _NoSuchKey(CloneError):
    """Told by whoever asked for the file."""
