"""The `CloneNamespaceResponse`: of a clone that is reserved, and of one that is published."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from ..catalog import namespaces as catalog
from ..catalog.model import namespace_model
from ..catalog.schema import clone_resources
from .clones import Clone


def response_of(
    connection: Connection, clone: Clone, status: str, summary: dict[str, int] | None = None
) -> dict[str, Any]:
    """`summary` is the `ClonedResourceSummary` of a clone that is published."""
    namespace = catalog.by_key(connection, clone.namespace_key)
    shown = namespace_model(connection, namespace)
    if summary is not None:
        shown["document_count"] = summary["points"]
    return {
        "namespace": shown,
        "source_namespace_id": clone.source_namespace_id,
        "status": status,
        "task_id": clone.run_id,
        "cloned_resources": summary,
        "primary_retriever_id": _primary_retriever(connection, clone),
    }


def _primary_retriever(connection: Connection, clone: Clone) -> str | None:
    """The clone of the source's oldest retriever."""
    planned = clone_resources.c
    query = (
        select(planned.target_id)
        .where(planned.clone_id == clone.clone_id, planned.kind == "retriever")
        .order_by(planned.created_at, planned.source_id)
        .limit(1)
    )
    return connection.execute(query).scalar()
