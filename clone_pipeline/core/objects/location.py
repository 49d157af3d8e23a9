"""Locations of files, as objects and payloads spell them, and what a copy of a file is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

_S3 = "s3://"
_HTTP = ("http://", "https://")
ARN = "arn:"
# `accesspoint/name`, and on an Outpost `outpost/id/accesspoint/name`, with `/` or `:` between.
_ACCESS_POINT = re.compile(
    r"arn:[^:/]+:(?:s3|s3-object-lambda|s3-outposts):[^:/]*:[^:/]*:"
    r"(?:outpost[:/][^:/]+[:/])?accesspoint[:/][^:/]+(?=/|$)"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY = 1024
# Of a part of a key between slashes, where a store keeps it as the name of a file.
_LONGEST_SEGMENT = 255
# Below it are the files whose own keys cannot stand below another one. No bucket is called so.
_HASHED = "~/"
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)


def bucket_and_key(url: str) -> tuple[str, str]:
    """The two parts of an s3:// location; the bucket may be the ARN of an access point."""
    # Keys may hold ?, # and %: an S3 location is no URL to be parsed.
    place = url.removeprefix(_S3)
    if place.startswith(ARN) and (found := _ACCESS_POINT.match(place)):
        return found[0], place[found.end() :].removeprefix("/")
    bucket, _, key = place.partition("/")
    return bucket, key


def is_s3(location: str) -> bool:
    return location.startswith(_S3)


def is_elsewhere(location: str) -> bool:
    """Whether it is an http(s) address."""
    return location.startswith(_HTTP)


def locations(document: dict[str, Any]) -> Iterator[str]:
    """Where the files of an object document lie, as written: `blobs[].properties.url` (in older
    records `blobs[].data`), else the blob's `key_prefix`. Inline content is no location."""
    for blob in _blobs(document):
        if (location := _location(blob)) is not None:
            yield location


def hashes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Location and SHA-256, hexadecimal, of every file of an object document that says the latter
    (`blobs[].details.hash`)."""
    for blob in _blobs(document):
        location, details = _location(blob), blob.get("details")
        said = details.get("hash") if isinstance(details, dict) else None
        if location is not None and isinstance(said, str) and (found := _SHA256.fullmatch(said)):
            yield location, found[1].lower()


def sizes(document: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    """Location and size in bytes, as far as it is said, of every file of an object document."""
    for blob in _blobs(document):
        location, details = _location(blob), blob.get("details")
        said = details.get("size_bytes") if isinstance(details, dict) else None
        if location is not None:
            yield location, said if type(said) is int and said >= 0 else None


def _blobs(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    blobs = document.get("blobs")
    for blob in blobs if isinstance(blobs, list) else []:
        if isinstance(blob, dict):
            yield blob


def _location(blob: dict[str, Any]) -> str | None:
    for holder in (blob.get("properties"), blob.get("data")):
        url = holder.get("url") if isinstance(holder, dict) else holder
        if isinstance(url, str) and url.startswith((_S3, *_HTTP)):
            return url
    key = blob.get("key_prefix")
    return key if isinstance(key, str) and key else None


@dataclass(frozen=True)
class FileMap:
    """What the copies of files are called: below `root`, `s3://bucket/prefix/.../`, each file under
    its own bucket and key.

    A pure function, and injective: no two files get one name. Where a key has no room there, or is
    one that not every store can keep apart from others, its hash stands for it.
    """

    root: str

    def target(self, location: str) -> str | None:
        """The location of the copy; None for what is no S3 file, or below `root` already."""
        if not location.startswith(_S3) or location.startswith(self.root):
            return None
        bucket, key = bucket_and_key(location)
        if not bucket or not key or not _is_text(location):
            return None
        place = location.removeprefix(_S3)
        return self.root + (place if self._fits(place) else _hashed(place))

    def key(self, location: str) -> str:
        """The key that the copy of an S3 file has in the bucket of `root`."""
        target = self.target(location)
        if target is None:
            raise ValueError(f"{location!r} is no file to be copied.")
        return bucket_and_key(target)[1]

    def below(self, name: str) -> FileMap:
        return FileMap(f"{self.root}{name}/")

    @property
    def bucket(self) -> str:
        return bucket_and_key(self.root)[0]

    @property
    def prefix(self) -> str:
        """With what the key of every copy begins."""
        return bucket_and_key(self.root)[1]

    def _fits(self, place: str) -> bool:
        """Whether a file's own bucket and key can stand below the root. Stores that keep keys as
        paths take `a//b` and `a/b` for one, and neither `.` nor long segments."""
        segments = place.split("/")
        return (
            place.isprintable()
            and not place.startswith(_HASHED)
            and not any(segment in ("", ".", "..") for segment in segments)
            and all(len(segment.encode()) <= _LONGEST_SEGMENT for segment in segments)
            and len(f"{self.prefix}{place}".encode()) <= _LONGEST_KEY
        )


def _hashed(place: str) -> str:
    return _HASHED + sha256(place.encode()).hexdigest()


def _is_text(location: str) -> bool:
    """JSON can spell half a surrogate pair, which no key is made of; and NUL no database keeps."""
    return not any("\ud800" <= one <= "\udfff" or one == "\0" for one in location)
