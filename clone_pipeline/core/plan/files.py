"""What a plan says of S3 files: whether they can be shared or copied, and what copying takes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Text, cast, select

from ..catalog.documents import read_object
from ..catalog.schema import clones, objects
from ..errors import InvalidRequest, UnreadableRecord
from ..files.store import Files
from ..objects.address import FilesAddress
from ..objects.location import FileMap, bucket_and_key, is_s3, sizes
from ..report import size
from ..request import CloneRequest
from ..words import Option

# So many objects are looked at, to tell of how many files and bytes it will be.
_SAMPLED = 1000
# Of so many buckets the region is asked for.
_BUCKETS = 20


@dataclass(frozen=True)
class FilesPlan:
    """`count` and `bytes` are those of objects alone, told by the first of them; `unsized` is the
    share of these files whose size no object says. `leaves`: of each bucket whose files leave a
    region or an endpoint, from where to where."""

    count: int
    bytes: int
    unsized: float
    into: str
    endpoint: str | None
    server_side: bool
    leaves: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "files": self.count,
            "bytes": self.bytes,
            "into": self.into,
            "endpoint": self.endpoint,
            "way": "inside the object store" if self.server_side else "through this process",
            "leaves": self.leaves,
        }

    @property
    def sentences(self) -> list[str]:
        """What a person must be told."""
        known = f", as far as objects say sizes; {self.unsized:.0%} do not" if self.unsized else ""
        told = [
            f"About {self.count:,} S3 files of objects ({size(self.bytes)}{known}), and those that "
            f"only payloads refer to, are copied to {self.into}, and are the clone's own."
        ]
        told += [
            f"Files of the bucket {one['bucket']} leave {one['from']} for {one['to']}, which may "
            "cost money."
            for one in self.leaves
        ]
        return told


def file_map(request: CloneRequest, into: FilesAddress, namespace_id: str) -> FileMap | None:
    """What copies will be called, but for the clone's own folder; None where files are shared.

    Raises InvalidRequest where there is nowhere to copy them to.
    """
    if request.files == "share":
        return None
    if into.bucket is None:
        raise InvalidRequest(
            Option("files", "copy"),
            " needs a bucket to copy to: set CLONE_FILES_BUCKET (and CLONE_FILES_PREFIX), or use ",
            Option("files", "share"),
            ".",
        )
    return FileMap(into.folder(namespace_id))


def refuse_out_of_reach(
    request: CloneRequest, source: FilesAddress, target: FilesAddress, count: int
) -> None:
    """Raises InvalidRequest where a clone would share files that its own stores cannot read;
    `count` is that of the source's objects."""
    if request.files == "copy" or not count or source.endpoint_url == target.endpoint_url:
        return
    raise InvalidRequest(
        Option("files", "share"),
        f" is not possible here, because the source's files are in {called(source)}, and the "
        f"clone's deployment reads {called(target)}; use ",
        Option("files", "copy"),
        ".",
    )


def owner_of_files(
    connection: Connection, request: CloneRequest, clone_id: str | None
) -> str | None:
    """The clone that owns the copies of files which a clone of `clone_id` will refer to; None where
    it has its own, or those of its source are nobody's copies."""
    if request.files == "copy" or clone_id is None:
        return None
    columns = (clones.c.request, clones.c.files_of)
    made = connection.execute(select(*columns).where(clones.c.clone_id == clone_id)).first()
    if made is None:
        return None
    return clone_id if made.request.get("files") == "copy" else made.files_of


def measure_files(
    connection: Connection,
    key: int,
    count: int,
    source: FilesAddress,
    target: FilesAddress,
    root: str,
) -> FilesPlan:
    """Raises NotFound where the bucket to copy to is not there, and what the stores raise."""
    found, known, buckets = _sampled(connection, key)
    sampled = min(count, _SAMPLED)
    share = count / sampled if sampled else 0.0
    there = [one for one in known.values() if one is not None]
    mean = sum(there) / len(there) if there else 0.0
    into = bucket_and_key(root)[0]
    one_endpoint = source.endpoint_url == target.endpoint_url
    with closing(Files.open(target)) as writer, closing(Files.open(source)) as reader:
        region = writer.region(into)
        leaves = []
        for bucket in sorted(buckets)[:_BUCKETS]:
            if not one_endpoint:
                leaves.append({"bucket": bucket, "from": called(source), "to": called(target)})
            elif (other := reader.region_or_none(bucket)) != region and other and region:
                leaves.append({"bucket": bucket, "from": other, "to": region})
    return FilesPlan(
        count=round(len(found) * share),
        bytes=round(mean * len(found) * share),
        unsized=1 - len(there) / len(known) if known else 0.0,
        into=root,
        endpoint=target.endpoint_url,
        server_side=one_endpoint,
        leaves=leaves,
    )


def _sampled(connection: Connection, key: int) -> tuple[set[str], dict[str, int | None], set[str]]:
    """The S3 files of the first objects, their sizes as far as they say them, their buckets."""
    query = select(objects.c.object_id, cast(objects.c.document, Text)).where(
        objects.c.namespace_key == key
    )
    known: dict[str, int | None] = {}
    for object_id, text in connection.execute(query.limit(_SAMPLED)):
        try:
            document = read_object(object_id, text)
        except UnreadableRecord:
            continue  # the copy itself will say so
        known |= {place: bytes_ for place, bytes_ in sizes(document) if is_s3(place)}
    return set(known), known, {bucket_and_key(place)[0] for place in known}


def called(where: FilesAddress) -> str:
    """An S3, in a sentence."""
    return where.endpoint_url or "the S3 of the AWS variables"
