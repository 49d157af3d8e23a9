"""Where S3 files are, and where copies of files go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# So that what stands below a prefix has room enough in the 1,024 bytes of a key.
LONGEST_PREFIX = 256


@dataclass(frozen=True)
class FilesAddress:
    """An S3, with the usual AWS variables for what is not said here: no `endpoint_url` is AWS.
    Copied files are written and removed below `prefix` in `bucket`, and nowhere else."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    bucket: str | None = None
    prefix: str = ""

    @property
    def root(self) -> str:
        """Where copied files are written: `s3://bucket/prefix/`."""
        return f"s3://{'/'.join(filter(None, (self.bucket, self.prefix)))}/"

    def folder(self, namespace_id: str) -> str:
        """Where the copied files of a namespace go: `s3://bucket/prefix/namespace_id/`."""
        return f"{self.root}{quote(namespace_id, safe='')}/"


AWS = FilesAddress()


def check_bucket(bucket: str | None) -> str | None:
    """Raises ValueError for what is no name of a bucket."""
    if bucket is not None and not BUCKET_NAME.fullmatch(bucket):
        raise ValueError("it is the name of an S3 bucket, without s3:// and prefix")
    return bucket


def check_prefix(prefix: str) -> str:
    """A prefix without slashes around it. Raises ValueError for one that not every S3 could keep:
    some take a key's segments for folders."""
    prefix = prefix.strip("/")
    segments = prefix.split("/") if prefix else []
    if any(segment in ("", ".", "..") for segment in segments) or not prefix.isprintable():
        raise ValueError("it is written a/b, without empty segments, `.` or `..`")
    if len(prefix.encode()) > LONGEST_PREFIX:
        raise ValueError(f"it has more than {LONGEST_PREFIX} bytes")
    return prefix
