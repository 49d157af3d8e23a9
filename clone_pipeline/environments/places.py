"""Where an environment's stores are, as people may be shown it: without logins and options."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from clone_pipeline.core.catalog.address import parse
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import VectorAddress


def catalog_place(address: str | Path) -> str:
    """`host:port/database`, or the file; what is no address of a database is not quoted."""
    try:
        url = parse(address)
    except InvalidRequest:
        return "(no address of a database)"
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    # What stands before an `@` in a host is the rest of a password that was not quoted.
    host = (url.host or "localhost").rpartition("@")[2]
    return f"{host}:{url.port or 5432}/{url.database or ''}"


def qdrant_place(address: VectorAddress) -> str:
    """The server's URL, or the embedded one's folder."""
    if address.url is None:
        return str(address.folder.absolute())
    parts = urlsplit(address.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def files_place(address: FilesAddress) -> str:
    """Where copied files go, and in which S3; empty where neither is said."""
    endpoint = urlsplit(address.endpoint_url or "").netloc.rpartition("@")[2]
    if address.bucket is None:
        return endpoint
    place = "/".join(filter(None, (address.bucket, address.prefix)))
    return f"s3://{place}" + (f" at {endpoint}" if endpoint else "")
