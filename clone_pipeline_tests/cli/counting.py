"""What stands in a namespace, counted without the code that reports it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.vectors.embedded import EmbeddedStore

IDS = {
    "collections": schema.collections.c.collection_id,
    "retrievers": schema.retrievers.c.retriever_id,
    "taxonomies": schema.taxonomies.c.taxonomy_id,
    "buckets": schema.buckets.c.bucket_id,
    "objects": schema.objects.c.object_id,
}


def counted(home: Path, name: str) -> dict[str, int]:
    """By the names of the summary. A namespace without a Qdrant collection has no points."""
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        with catalog.read() as connection:
            live = schema.namespaces.c
            row = connection.execute(
                select(live.namespace_key, live.document).where(
                    live.namespace_name == name, live.role == "live"
                )
            ).one()
            found = {
                what: connection.execute(
                    select(func.count(column.distinct())).where(
                        column.table.c.namespace_key == row.namespace_key
                    )
                ).scalar_one()
                for what, column in IDS.items()
            }
    finally:
        catalog.close()
    return {**found, "points": _points(home, row.document["infrastructure"]["qdrant_collection"])}


def _points(home: Path, collection: str) -> int:
    store = EmbeddedStore.open(home / "qdrant")
    try:
        return store.count(collection) if store.exists(collection) else 0
    finally:
        store.close()
