"""A namespace whose objects and points refer to files, and the S3 that these are in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Text, cast, select

from clone_pipeline.core.catalog.schema import clone_files, objects
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.slices import Slice
from clone_pipeline_tests import harness, sources
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.environments.two import Known

SOURCE, COPY = "prod", "copy"


@dataclass(frozen=True)
class World:
    """`s3` is the source's bucket and `copies` the one that copies go into: on one server, or each
    on its own."""

    stores: Stores
    s3: S3
    copies: S3

    def clone(self, name: str = COPY, source: str = SOURCE, **options: Any) -> Clone:
        return harness.clone(
            self.stores,
            source,
            name,
            **{"files": "copy", "include_resources": harness.everything()} | options,
        )

    def step(self, clone: Clone, name: str) -> StepReport:
        from clone_pipeline.core.steps import run_step

        return run_step(self.stores, clone.clone_id, str(clone.run_id), name, process_goes_on=True)

    def reports(self, clone: Clone) -> dict[str, StepReport]:
        with self.stores.catalog.read() as connection:
            return ledger.read_reports(connection, clone.clone_id)

    def rows(self, clone: Clone) -> list[dict[str, Any]]:
        query = select(clone_files).where(clone_files.c.clone_id == clone.clone_id)
        with self.stores.catalog.read() as connection:
            found = connection.execute(query.order_by(clone_files.c.source)).mappings()
            return [dict(row) for row in found]

    def documents(self, clone: Clone) -> list[dict[str, Any]]:
        """The objects of a clone, then the payloads of its points."""
        text = cast(objects.c.document, Text)
        query = select(text).where(objects.c.namespace_key == clone.namespace_key)
        with self.stores.catalog.read() as connection:
            found = connection.execute(query.order_by(objects.c.object_id)).scalars()
            documents = [json.loads(one) for one in found]
        with self.stores.vectors() as vectors:
            page = vectors.read(clone.qdrant_collection, 1000, Slice(0).first)
            return documents + [point.plain_payload() for point in page.points]

    def texts(self, clone: Clone) -> str:
        return json.dumps(self.documents(clone))

    def everything(self, s3: S3) -> dict[str, bytes]:
        return {
            key: s3.client.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
            for key in s3.everything()
        }

    def folder(self, clone: Clone) -> str:
        """With what the keys of a clone's copies begin."""
        namespace_id = clone.plan["target"]["namespace_id"]
        return f"clones/{namespace_id}/{clone.clone_id}/"


@contextmanager
def of_production(folder: Path, theirs: FilesAddress, s3: S3, copies: S3) -> Iterator[World]:
    """Staging, whose bucket is `copies`, and which clones from production (`ELSEWHERE`): an object
    and a point there have a file each in `s3`, and `theirs` is how that is spoken to."""
    one = s3.put("day 1/one ? %.mp4", b"12345")
    files = with_files(
        [blob(one, b"12345"), blob("https://example.org/a.mp4")],
        [{"document_blobs": [{"url": s3.put("thumbs/one.jpg", b"jpeg")}]}],
    )
    ours = FilesAddress(copies.url, bucket=copies.bucket, prefix="clones")
    with (
        harness.holding(folder / "production", files, files=theirs) as production,
        harness.holding(
            folder / "staging",
            files=ours,
            environment="staging",
            elsewhere=Known("production", production),
        ) as stores,
    ):
        harness.same_organizations(production, stores, "{}")
        yield World(stores, s3, copies)


ELSEWHERE = {"source_environment": "production", "target_environment": "staging"}


def blob(url: str, content: bytes | None = None) -> dict[str, Any]:
    """A blob of an object; `content` is what its details say of the file."""
    details: dict[str, Any] = {}
    if content is not None:
        digest = hashlib.sha256(content).hexdigest()
        details = {"details": {"hash": f"sha256:{digest}", "size_bytes": len(content)}}
    return {"blob_id": "blob_1", "property": "video", "properties": {"url": url}} | details


def with_files(
    blobs: Iterable[dict[str, Any]], payloads: Iterable[dict[str, Any]]
) -> sources.Files:
    """`prod` with an object for each blob, and a point for each of what stands in `_internal`."""
    return sources.source(
        buckets=[{"bucket_id": "bkt_1"}],
        objects=[
            {"object_id": f"obj_{number}", "bucket_id": "bkt_1", "blobs": [one]}
            for number, one in enumerate(blobs)
        ],
        collections=[{"collection_id": "col_1"}],
        points=[
            {
                "id": number,
                "vector": {"v": [1.0, 2.0]},
                "payload": {"_internal": {"collection_id": "col_1", **inside}},
            }
            for number, inside in enumerate(payloads)
        ],
    )
