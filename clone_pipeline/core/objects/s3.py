"""Do the files that objects refer to exist? Asked by HEAD requests only: nothing is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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

from ..errors import CloneError, InvalidRequest, StoreUnavailable

NAMED = 100  # how many missing and how many unreadable files are named; the rest is counted

_MOST_CONCURRENT = 64
_ATTEMPTS = 4
_BUSY = (429, 500, 502, 503, 504)


@dataclass
class ObjectCheck:
    """What was found. `missing` and `unreadable` name the first hundred, as (label, location).

    A file is `unreadable` when the store refuses to tell (403): without the right to list a bucket
    S3 answers so for files that do not exist, too. `elsewhere` counts http(s) locations and
    `without_bucket` keys that no bucket belongs to: neither can be asked for.
    """

    checked: int = 0
    bytes: int = 0
    missing_count: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: int = 0
    without_bucket: int = 0


class _Head(NamedTuple):
    label: str
    url: str
    status: int  # 200, 404, or what else the store refused with
    size: int


def locations(document: dict[str, Any]) -> Iterator[str]:
    """Where the files of an object document lie, as written: `blobs[].properties.url` (in older
    records `blobs[].data`), else the blob's `key_prefix`. Inline content is no location."""
    blobs = document.get("blobs")
    for blob in blobs if isinstance(blobs, list) else []:
        location = _location(blob) if isinstance(blob, dict) else None
        if location is not None:
            yield location


def _location(blob: dict[str, Any]) -> str | None:
    for holder in (blob.get("properties"), blob.get("data")):
        url = holder.get("url") if isinstance(holder, dict) else holder
        if isinstance(url, str) and url.startswith(("s3://", "http://", "https://")):
            return url
    key = blob.get("key_prefix")
    return key if isinstance(key, str) and key else None


class ObjectStore:
    """One S3, by the usual AWS variables. Safe to use from several threads."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._endpoint: str = client.meta.endpoint_url

    @classmethod
    def open(cls, endpoint_url: str | None) -> ObjectStore:
        """The S3 at `endpoint_url` (None: AWS, or what its own variables say).

        No file is asked for yet. Raises InvalidRequest for settings that cannot be used.
        """
        # A fifth of a second to import, and only this step needs it.
        import boto3
        from botocore.config import Config

        config = Config(
            signature_version="s3v4",
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=_MOST_CONCURRENT,
        )
        try:
            return cls(boto3.Session().client("s3", endpoint_url=endpoint_url, config=config))
        except (ValueError, BotoCoreError) as error:
            raise _unusable(error) from error

    def close(self) -> None:
        self._client.close()

    def check(self, files: Iterable[tuple[str, str]], concurrency: int = 16) -> ObjectCheck:
        """Asks for every (label, location) whether it exists, `concurrency` (up to 64) at a time.

        `files` is drawn as the answers come in, so it may be of any length.

        Raises StoreUnavailable when the store cannot be reached, InvalidRequest without
        credentials.
        """
        workers = max(1, min(concurrency, _MOST_CONCURRENT))
        report = ObjectCheck()
        pending: deque[Future[_Head]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="s3-head") as pool:
            try:
                for label, url in files:
                    if not _is_s3(url, report):
                        continue
                    if len(pending) >= 2 * workers:
                        _count(report, pending.popleft().result())
                    pending.append(pool.submit(self._head, label, url))
                while pending:
                    _count(report, pending.popleft().result())
            except BaseException:
                # Leaving the pool waits for what runs; what only waits in it need not start.
                for future in pending:
                    future.cancel()
                raise
        return report

    def _head(self, label: str, url: str) -> _Head:
        # Keys may hold ?, # and %: an S3 location is no URL to be parsed.
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except ParamValidationError:
            return _Head(label, url, 404, 0)  # nothing can exist under such a name
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status in _BUSY:
                raise StoreUnavailable(
                    f"The object store {self._endpoint} is busy: it answered {status} to "
                    f"{_ATTEMPTS} attempts."
                ) from error
            return _Head(label, url, status, 0)
        except BotoCoreError as error:
            raise self._translated(error) from error
        return _Head(label, url, 200, int(answer["ContentLength"]))

    def _translated(self, error: BotoCoreError) -> CloneError:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return InvalidRequest(
                "verify_objects needs S3 credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or switch it off with `verify_objects: none`."
            )
        if isinstance(error, ConnectionError | HTTPClientError | CredentialRetrievalError):
            return StoreUnavailable(
                f"The object store {self._endpoint} cannot be reached: {_sentence(error)}."
            )
        return _unusable(error)


def _unusable(error: Exception) -> InvalidRequest:
    return InvalidRequest(
        f"The S3 settings cannot be used: {_sentence(error)}; S3_ENDPOINT_URL is written "
        "https://s3.example.org, the rest are the usual AWS variables."
    )


def _is_s3(url: str, report: ObjectCheck) -> bool:
    if url.startswith("s3://"):
        return True
    if url.startswith(("http://", "https://")):
        report.elsewhere += 1
    else:
        report.without_bucket += 1
    return False


def _count(report: ObjectCheck, head: _Head) -> None:
    report.checked += 1
    if head.status == 200:
        report.bytes += head.size
    elif head.status in (404, 410):
        report.missing_count += 1
        if len(report.missing) < NAMED:
            report.missing.append((head.label, head.url))
    else:
        report.unreadable_count += 1
        if len(report.unreadable) < NAMED:
            report.unreadable.append((head.label, head.url))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
