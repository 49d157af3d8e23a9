"""Tasks: the runs that make clones."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection

from clone_pipeline.api.errors import Json, documented
from clone_pipeline.api.listing import ListRequest, Selection, Windowed
from clone_pipeline.api.models import DeleteResponse, ListTasksResponse, TaskResponse
from clone_pipeline.api.service import Caller, Services
from clone_pipeline.core.errors import NotFound
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.state import list_tasks as read_tasks
from clone_pipeline.core.ledger.state import task_state
from clone_pipeline.core.principal import Principal, require_writer
from clone_pipeline.core.text import storable

router = APIRouter(tags=["Tasks"])


class ListTasksRequest(ListRequest):
    """Which tasks to list."""

    status: str | None = Field(None, max_length=64)
    task_type: str | None = Field(None, max_length=64)


@router.get(
    "/v1/tasks/{task_id}",
    operation_id="get_task",
    response_model=TaskResponse,
    responses=documented(),
)
def get_task(task_id: str, service: Services, caller: Caller) -> Json:
    """How a clone is getting on, by the id of its run."""
    with service.stores.catalog.read() as connection:
        return Json(task_state(connection, _find(connection, caller, task_id), task_id))


@router.delete(
    "/v1/tasks/{task_id}",
    operation_id="kill_task",
    response_model=DeleteResponse,
    responses=documented(403),
)
def delete_task(task_id: str, service: Services, caller: Caller) -> Json:
    """Cancel the run. What it has made stays and can be resumed or deleted. Nothing happens where
    it is over."""
    require_writer(caller)
    with service.stores.catalog.read() as connection:
        clone = _find(connection, caller, task_id)
    if clone.status != "cloning" or clone.run_id is None:
        return Json({"success": True, "message": f"The task {task_id} is over."})
    service.runs.cancel(clone.run_id)
    if clone.reserved_at is not None:
        # A run that waits in the queue has nobody to record its end.
        ledger.fail(
            service.stores,
            clone.clone_id,
            clone.run_id,
            f"{ledger.CANCELLED} before it began; ask for the clone again, or delete it.",
        )
    return Json({"success": True, "message": f"The task {task_id} is cancelled."})


@router.post(
    "/v1/tasks/list",
    operation_id="list_tasks",
    response_model=ListTasksResponse,
    responses=documented(),
)
def list_tasks(
    window: Windowed, service: Services, caller: Caller, body: ListTasksRequest | None = None
) -> Json:
    """A page of the organization's tasks, newest first."""
    window = window.within(body)
    asked = body or ListTasksRequest()
    wanted = Selection(asked, ("task_id", "namespace_name", "source_namespace_id"))
    with service.stores.catalog.read() as connection:
        found = [
            row
            for row in wanted.of(read_tasks(connection, caller.organization_id))
            if asked.status in (None, row["status"]) and asked.task_type in (None, row["task_type"])
        ]
        part = found[window.offset : window.offset + window.limit]
        results = [
            task_state(connection, ledger.of_any_run(connection, row["task_id"]), row["task_id"])
            for row in part
        ]
    return Json(
        {
            "results": results,
            "pagination": window.of(len(found)).model_dump(),
            "total_count": len(found),
        }
    )


def _find(connection: Connection, caller: Principal, task_id: str) -> Clone:
    missing = NotFound(f"There is no task {task_id!r}.", resource="task", id=task_id)
    if not storable(task_id):
        raise missing
    try:
        clone = ledger.of_any_run(connection, task_id)
    except NotFound:
        raise missing from None
    if not caller.may_read(clone.organization_id):
        raise missing
    return clone
