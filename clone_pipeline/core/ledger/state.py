"""A namespace and a task as a client polls them: the ledger's word, for people and programs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from ..catalog.documents import Document
from ..catalog.model import namespace_model
from ..catalog.namespace import Namespace, iso
from ..catalog.schema import clone_runs, clones
from . import clones as ledger
from .clones import Clone
from .progress import cloned_so_far, read_progress

# The platform's clients know no task type for a clone; they refuse one they do not know.
TASK_TYPE = "api_namespaces_create"
_TASK_STATUS = {"ready": "COMPLETED", "cloning": "IN_PROGRESS", "failed": "FAILED"}


def namespace_state(connection: Connection, namespace: Namespace) -> Document:
    """The `NamespaceModel`; beyond it what is cloned, how far a clone is, and whether a replacement
    is being built."""
    shown = namespace_model(connection, namespace)
    shown |= {"cloned_resources": None, "progress": None, "replacement": None}
    if namespace.clone_status == "ready":
        query = select(clones.c.response).where(clones.c.clone_id == namespace.clone_id)
        response = connection.execute(query).scalar()
        shown["cloned_resources"] = response and response["cloned_resources"]
        shown["replacement"] = _replacement(connection, namespace)
    elif namespace.clone_status is None:
        shown["replacement"] = _replacement(connection, namespace)
    elif namespace.clone_id is not None:
        shown["progress"] = read_progress(connection, ledger.get(connection, namespace.clone_id))
        shown["cloned_resources"] = cloned_so_far(shown["progress"])
    return shown


def _replacement(connection: Connection, namespace: Namespace) -> Document | None:
    clone = ledger.unfinished(connection, namespace.organization_id, namespace.name)
    if clone is None:
        return None
    return {
        "clone_status": clone.status,
        "clone_error": clone.error,
        "clone_task_id": clone.run_id,
        "progress": read_progress(connection, clone),
    }


def task_state(connection: Connection, clone: Clone, run_id: str) -> Document:
    """The `TaskResponse` of a clone, under the id of any run that has had it."""
    progress = read_progress(connection, clone)
    status = task_status(clone.status, clone.phase, clone.error)
    error = clone.error if status in ("FAILED", "CANCELED") else None
    done = clone.response is not None
    return {
        "task_id": run_id,
        "task_type": TASK_TYPE,
        "status": status,
        "inputs": [clone.source_namespace_id],
        "outputs": [clone.plan["target"]["namespace_id"]] if done else [],
        "additional_data": {
            "namespace_id": clone.plan["target"]["namespace_id"],
            "namespace_name": clone.namespace_name,
            "source_namespace_id": clone.source_namespace_id,
            "clone_id": clone.clone_id,
            "run_id": clone.run_id,
            "progress": progress,
            "cloned_resources": (clone.response or {}).get("cloned_resources")
            or cloned_so_far(progress),
            "created_at": iso(clone.created_at),
            "finished_at": iso(clone.finished_at),
            "error": error,
        },
        "error": error,
    }


def task_status(status: str, phase: str, error: str | None) -> str:
    """A clone's status as the platform's `TaskStatusEnum`."""
    if status == "cloning" and phase == "queued":
        return "PENDING"
    if status == "discarded":
        # Deleted after it was published, or given up before.
        return "COMPLETED" if phase == "published" else "CANCELED"
    if status == "failed" and (error or "").startswith(ledger.CANCELLED):
        return "CANCELED"
    return _TASK_STATUS[status]


def list_tasks(connection: Connection, organization_id: str | None) -> list[dict[str, Any]]:
    """Every task of an organization (None: of all), newest first, without its progress."""
    columns = ("namespace_name", "source_namespace_id", "status", "phase", "error")
    query = (
        select(clone_runs.c.run_id, clone_runs.c.created_at, *(clones.c[name] for name in columns))
        .join(clones, clones.c.clone_id == clone_runs.c.clone_id)
        .order_by(clone_runs.c.created_at.desc(), clone_runs.c.run_id)
    )
    if organization_id is not None:
        query = query.where(clones.c.organization_id == organization_id)
    return [
        {
            "task_id": row.run_id,
            "task_type": TASK_TYPE,
            "status": task_status(row.status, row.phase, row.error),
            "namespace_name": row.namespace_name,
            "source_namespace_id": row.source_namespace_id,
            "created_at": iso(row.created_at),
        }
        for row in connection.execute(query)
    ]
