"""A namespace as the platform's `NamespaceModel`, with its clone's state."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from .. import secrets
from ..secrets.masked import masked
from .complete import complete
from .documents import Document
from .namespace import Namespace, iso
from .namespaces import count_records
from .schema import clone_slices, clones, objects

_SHOWN_OF_CLONE = (
    "phase",
    "error",
    "run_id",
    "source_namespace_id",
    "response",
    "created_at",
    "reserved_at",
)


def namespace_model(connection: Connection, namespace: Namespace) -> Document:
    """The namespace as a `NamespaceModel`, with every field of it: its document, live counts, clone
    state; no secrets.

    Raises UnreadableRecord.
    """
    times = {"created_at": iso(namespace.created_at), "updated_at": iso(namespace.updated_at)}
    document = complete("namespace", times | masked(namespace.raw))
    document |= {
        "bucket_count": count_records(connection, namespace.key, "bucket"),
        "collection_count": count_records(connection, namespace.key, "collection"),
        "object_count": _count_objects(connection, namespace.key),
    }
    document.setdefault("namespace_ready", namespace.is_ready)
    if namespace.clone_status is not None:
        document |= _clone_state(connection, namespace)
    # By contract a count that is not known is null, and not complete.
    document.setdefault("document_count_complete", document["document_count"] is not None)
    return document


def _clone_state(connection: Connection, namespace: Namespace) -> Document:
    # The plan may be large, and is not needed here.
    columns = [clones.c[name] for name in _SHOWN_OF_CLONE]
    query = select(*columns).where(clones.c.clone_id == namespace.clone_id)
    clone = connection.execute(query).mappings().first()
    state: Document = {
        "clone_status": namespace.clone_status,
        "clone_phase": None,
        "clone_error": None,
        "clone_task_id": None,
        "clone_dispatched_at": None,
        "source_namespace_id": None,
        "namespace_ready": namespace.is_ready,
        "expires_at": iso(namespace.expires_at),
        "created_at": iso(namespace.created_at),
        "updated_at": iso(namespace.updated_at),
    }
    if clone is None:
        return state
    waiting = clone["phase"] == "queued"
    if clone["response"] is not None:
        state["document_count"] = clone["response"]["cloned_resources"]["points"]
    else:
        state["document_count"] = points_copied(connection, str(namespace.clone_id))
    return state | {
        "clone_phase": ("queued" if waiting else "copying")
        if namespace.clone_status == "cloning"
        else None,
        "clone_error": secrets.without(clone["error"])
        if namespace.clone_status == "failed"
        else None,
        "clone_task_id": clone["run_id"],
        "clone_dispatched_at": iso(clone["reserved_at"] or clone["created_at"]),
        "source_namespace_id": clone["source_namespace_id"],
    }


def points_copied(connection: Connection, clone_id: str) -> int:
    """How many points are durable in the target, as far as the checkpoints say."""
    query = select(func.coalesce(func.sum(clone_slices.c.points), 0))
    return int(connection.execute(query.where(clone_slices.c.clone_id == clone_id)).scalar_one())


def _count_objects(connection: Connection, key: int) -> int:
    query = select(func.count()).select_from(objects).where(objects.c.namespace_key == key)
    return int(connection.execute(query).scalar_one())
