"""A small namespace in which everything refers to everything, and homes that hold it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline_tests import harness
from clone_pipeline_tests.sources import ID, NAME, ORGANIZATION, Files, source

SECRET = "qd-secret-5e1f0c"
WEBHOOK_SECRET = "hook-secret-77aa"
COUNTS = {
    "collections": 2,
    "retrievers": 1,
    "taxonomies": 1,
    "buckets": 2,
    "objects": 3,
    "points": 5,
}


def prod(
    namespace_id: str = ID, name: str = NAME, organization_id: str = ORGANIZATION, **more: Any
) -> Files:
    """Documents by file. `more` are fields of the namespace's document."""
    return source(
        namespace={
            "organization_id": organization_id,
            "namespace_id": namespace_id,
            "namespace_name": name,
            "description": "What customers search",
            "document_count": 5,
            "infrastructure": {"qdrant_collection": f"{namespace_id}_store"},
            **more,
        },
        buckets=[
            {"bucket_id": "bkt_videos01", "bucket_name": "videos"},
            {
                "bucket_id": "bkt_texts001",
                "bucket_name": "texts",
                "source_adapter": {"webhook_secret": WEBHOOK_SECRET},
            },
        ],
        objects=[
            _object("obj_1", "bkt_videos01"),
            _object("obj_2", "bkt_videos01"),
            _object("obj_3", "bkt_texts001"),
        ],
        collections=[
            {
                "collection_id": "col_scenes0001",
                "collection_name": "scenes",
                "source": {"type": "bucket", "bucket_ids": ["bkt_videos01"]},
                "taxonomy_applications": [{"taxonomy_id": "tax_kinds000001"}],
            },
            {
                "collection_id": "col_lines00001",
                "collection_name": "lines",
                "source": {"type": "bucket", "bucket_ids": ["bkt_texts001"]},
                "cluster_applications": [{"cluster_id": "clust_abcdefgh"}],
            },
        ],
        retrievers=[
            {
                "retriever_id": "ret_search00000001",
                "retriever_name": "search",
                "collection_ids": ["col_scenes0001", "col_lines00001"],
                "stages": [
                    {
                        "stage_name": "explain",
                        "config": {
                            "stage_id": "llm_enrich",
                            "parameters": {"prompt": "Say what col_scenes0001 shows."},
                        },
                    }
                ],
            }
        ],
        taxonomies=[_taxonomy(1), _taxonomy(2)],
        config={
            "vectors": {"text": {"size": 3, "distance": "Dot"}},
            "payload_schema": {"_internal.collection_id": {"data_type": "keyword"}},
        },
        points=[
            _point(number, namespace_id, organization_id, collection)
            for number, collection in enumerate(["col_scenes0001"] * 3 + ["col_lines00001"] * 2)
        ],
    )


def _object(object_id: str, bucket_id: str) -> dict[str, Any]:
    return {
        "object_id": object_id,
        "bucket_id": bucket_id,
        "blobs": [{"properties": {"url": f"s3://files/{object_id}"}}],
    }


def _taxonomy(version: int) -> dict[str, Any]:
    return {
        "taxonomy_id": "tax_kinds000001",
        "version": version,
        "taxonomy_name": "kinds",
        "taxonomy_type": "flat",
        "config": {
            "retriever_id": "ret_search00000001",
            "source_collection": {"collection_id": "col_scenes0001"},
        },
    }


def _point(number: int, namespace_id: str, organization_id: str, collection: str) -> dict[str, Any]:
    return {
        "id": number,
        "vector": {"text": [number / 4, 0.5, -1.0]},
        "payload": {
            "title": f"document {number}",
            "_internal": {
                "namespace_id": namespace_id,
                "internal_id": organization_id,
                "collection_id": collection,
            },
        },
    }


def make_world(home: Path, infrastructure: dict[str, str] | None = None, **options: Any) -> Path:
    """A home with namespaces and clones in every state: `prod` and `plain`, loaded; `staging`, a
    clone of prod; `half`, a clone that failed on the way; `elsewhere` in another organization.

    To be copied, not used. `infrastructure` is that of prod, `options` are those of `staging`.
    """
    own = {} if infrastructure is None else {"infrastructure": infrastructure}
    others = prod("ns_plain00001", "plain"), prod("ns_elsewhere1", "elsewhere", "org_other")
    with harness.holding(home, prod(**own), *others) as stores:
        harness.clone(stores, "prod", "staging", **options)
        begun = harness.clone(stores, "prod", "half", until="clone_collections")
        ledger.fail(stores, begun.clone_id, str(begun.run_id), "The disk was full.")
    return home


def contents(home: Path) -> dict[str, Any]:
    """Every row of the catalog and a digest of every file of Qdrant."""
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        return {**rows(catalog), "qdrant": _digests(home / "qdrant")}
    finally:
        catalog.close()


def rows(catalog: Catalog) -> dict[str, Any]:
    with catalog.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in schema.metadata.sorted_tables
        }


def _digests(folder: Path) -> dict[str, str]:
    # Who had it open last, the lock says; whoever only counts opens it too.
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".clone-pipeline.pid"
    }
