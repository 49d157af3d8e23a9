"""Whether an S3 answers, whether files in it can be read, and where copies of files are written,
that they can be."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from clone_pipeline.core.errors import CloneError, InvalidRequest, StorageFailed, StoreUnavailable
from clone_pipeline.core.objects.address import AWS
from clone_pipeline.core.objects.location import bucket_and_key, is_s3, locations
from clone_pipeline.core.objects.s3 import open_client, sentence
from clone_pipeline.deployment import Where
from clone_pipeline.environments.places import files_place
from clone_pipeline.probing.clocks import Clock, compare, read_date
from clone_pipeline.probing.findings import CANARY, Findings

_MOST_BUCKETS = 5
_BODY = b"Written by clone-pipeline environments check."

_RIGHTS = "its credentials need s3:ListBucket and s3:GetObject, and for copies s3:PutObject"
_DECRYPTS = "its credentials need kms:Decrypt for the key with which the file is encrypted"
# What to do about the answers that say what is wrong.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_ADVICE = {
    "NoSuchBucket": "make it first, or name another one",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID, or the profile",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, or the profile",
    "RequestTimeTooSkewed": "set our clock and that of S3 by NTP",
    "AccessDenied": _RIGHTS,
    "403": _RIGHTS,
    "404": "there is no such file, or no such bucket",
}


def check_files(
    where: Where, objects: Sequence[dict[str, Any]], findings: Findings, clock: Clock
) -> None:
    """`objects` are documents of a few objects of the environment: of each bucket that they name
    one file is asked for."""
    with findings.trying("files"), closing(open_client(where.files)) as client:
        if where.files == AWS and client._request_signer._credentials is None:
            findings.add(
                "files",
                "skipped",
                "No S3 is named and there are no credentials for one, so files are not looked at; "
                "a clone that refers to the files of its source needs none.",
            )
            return
        dates = _Dates(client, clock)
        samples = _one_of_each_bucket(objects)
        if where.files.bucket is not None:
            with findings.trying("files"):
                _check_bucket(where, where.files.bucket, client, findings)
        elif not samples:
            findings.add(
                "files",
                "skipped",
                "No bucket is named, and no object has a file; nothing is asked.",
            )
        for url in samples:
            with findings.trying("files"):
                _check_sample(client, url, findings)
        if dates.newest is not None:
            compare(findings, "files", "S3", *dates.newest)


class _Dates:
    """The time that S3 said last, and ours at that moment."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._clock = clock
        self.newest: tuple[datetime, datetime] | None = None
        client.meta.events.register("after-call.s3", self._note)

    def _note(self, http_response: Any, **_: Any) -> None:
        theirs = read_date(http_response.headers.get("date"))
        if theirs is not None:
            self.newest = theirs, self._clock()


def _check_bucket(where: Where, bucket: str, client: Any, findings: Findings) -> None:
    """The bucket of copied files."""
    place = files_place(where.files)
    below = f"{where.files.prefix}/" if where.files.prefix else ""
    with _translated(place):
        client.list_objects_v2(Bucket=bucket, Prefix=below, MaxKeys=1)
    findings.add("files", "ok", f"{place} can be listed.")
    if where.access == "write":
        _try_file(client, bucket, f"{below}{CANARY}{secrets.token_hex(6)}", place, findings)


def _try_file(client: Any, bucket: str, key: str, place: str, findings: Findings) -> None:
    """Writes a file, reads it back and removes it, also where that fails; of a bucket that keeps
    versions, that version."""
    named = {"Bucket": bucket, "Key": key}
    written: dict[str, Any] = {}
    try:
        with _translated(place):
            written = client.put_object(**named, Body=_BODY)
    except StorageFailed:
        raise  # it was refused
    except CloneError:
        _remove(client, named, place, findings)
        raise
    try:
        with _translated(place), client.get_object(**named)["Body"] as body:
            if body.read(len(_BODY) + 1) != _BODY:
                raise StorageFailed(f"{place} does not have a file that was just written.")
    finally:
        version = written.get("VersionId")
        _remove(client, named | ({"VersionId": version} if version else {}), place, findings)
    findings.add("files", "ok", "A file was written, read back and removed.")


def _remove(client: Any, named: dict[str, str], place: str, findings: Findings) -> None:
    advice = f"remove the file {named['Key']} by hand, should it be there"
    with findings.trying("files", advice), _translated(place):
        client.delete_object(**named)


def _one_of_each_bucket(objects: Sequence[dict[str, Any]]) -> list[str]:
    named = (url for document in objects for url in locations(document) if is_s3(url))
    return list({bucket_and_key(url)[0]: url for url in named}.values())[:_MOST_BUCKETS]


def _check_sample(client: Any, url: str, findings: Findings) -> None:
    """Clones that refer to files do without reading them, so that one that cannot be read is only
    warned of. It is asked for whole, and left alone: without a body no answer says what KMS
    refuses."""
    bucket, key = bucket_and_key(url)
    try:
        with _translated(url):
            client.get_object(Bucket=bucket, Key=key)["Body"].close()
    except (StorageFailed, InvalidRequest) as error:
        findings.add(
            "files", "warning", f"An object's file cannot be read, as copies would: {error.message}"
        )
    else:
        findings.add("files", "ok", f"A file of an object can be read, in s3://{bucket}.")


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """What the client raises, as one sentence that begins with the place."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {}).get("Code", "")
        encrypted = "kms:" in error.response.get("Error", {}).get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        denied = told in ("AccessDenied", "403", "401")
        advice = _DECRYPTS if encrypted else _ADVICE.get("AccessDenied" if denied else told, "")
        raise StorageFailed(
            f"{place}: S3 refuses the request ({told or status})"
            + (f"; {advice}." if advice else ".")
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidRequest(
            f"{place} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "`profile`."
        ) from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"{place} cannot be reached: {sentence(error)}.") from error
