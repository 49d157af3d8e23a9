"""Addresses: `s3://bucket/prefix`, or `file:///folder` for whoever has no object store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...errors import InvalidRequest
from ...objects.address import FilesAddress
from .folder import FolderPlace
from .place import Place

_S3, _FILE = "s3://", "file://"


def is_address(text: str) -> bool:
    """Whether it names an archive rather than a bundle folder."""
    return text.startswith((_S3, _FILE))


def open_place(address: str, files: FilesAddress) -> Place:
    """The place at an address; the S3 of s3:// ones is that of `files`. Nothing is asked for yet.

    Raises InvalidRequest for an address or settings that cannot be used.
    """
    if address.startswith(_S3):
        from .s3 import S3Place

        return S3Place.open(address, files)
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidRequest(f"{address} names no folder: write file:///path/of/a/folder.")
    return FolderPlace(Path(unquote(parts.path)), address)
