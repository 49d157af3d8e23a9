"""Where the files of a deployment are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FilesAddress:
    """An S3, with the usual AWS variables for what is not said here: no `endpoint_url` is AWS.
    Copied files are written below `prefix` in `bucket`, and nowhere else."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    bucket: str | None = None
    prefix: str = ""


AWS = FilesAddress()
