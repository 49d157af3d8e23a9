"""Runs of the job, and what Dagster and the ledger know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from clone_pipeline.core import steps
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.launch import clone_job

EVERYTHING = {"collections": True, "retrievers": True, "taxonomies": True}


OF_STEP = {
    "clone_buckets": ("buckets", "objects"),
    "clone_collections": ("collections",),
    "copy_points": ("points",),
    "clone_retrievers": ("retrievers",),
    "clone_taxonomies": ("taxonomies",),
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """A real one, on disk."""
    with dg.instance_for_test() as instance:
        yield instance


def request(name: str = "new", **options: Any) -> dict[str, Any]:
    return {"namespace_identifier": "prod", "namespace_name": name, **options}


def launch(
    instance: dg.DagsterInstance, config: dict[str, Any], **more: Any
) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(clone_job),
        instance=instance,
        run_config=config,
        raise_on_error=False,
        **more,
    )


def in_process(**options: Any) -> dg.ExecuteInProcessResult:
    return clone_job().execute_in_process(run_config=request(**options), raise_on_error=False)


def shown(result: Any) -> dict[str, dict[str, Any]]:
    """Each op's output metadata."""
    return {
        event.node_name: {
            key: value.value for key, value in event.step_output_data.metadata.items()
        }
        for event in result.all_node_events
        if event.is_successful_output
    }


def lines(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The log of a run, as its page has it."""
    return [entry.user_message for entry in instance.all_logs(run_id)]


def table(value: list[Any]) -> list[dict[str, Any]]:
    return [record.data for record in value]


def ledger(home: Path, *columns: str, name: str = "new") -> Any:
    """Columns of the newest clone of a name."""
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        with catalog.read() as connection:
            query = select(*(schema.clones.c[column] for column in columns))
            mine = query.where(schema.clones.c.namespace_name == name)
            return connection.execute(mine.order_by(schema.clones.c.created_at.desc())).first()
    finally:
        catalog.close()


Step = Callable[[Work], Any]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a step raise these errors, one each time, before it does its work; None is no error."""

    def at(step: str, *errors: BaseException | None) -> None:
        left, real = list(errors), steps._FUNCTIONS[step]

        def broken(work: Work) -> Any:
            error = left.pop(0) if left else None
            if error is not None:
                raise error
            return real(work)

        monkeypatch.setitem(steps._FUNCTIONS, step, broken)

    return at


def retries(result: Any) -> list[float]:
    """How long each retry waited."""
    return [
        event.event_specific_data.seconds_to_wait
        for event in result.all_events
        if event.event_type_value == "STEP_UP_FOR_RETRY"
    ]


def failed_step(result: Any) -> tuple[str, dict[str, Any]]:
    """The one step that failed: its sentence, and its metadata."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    return data.description, {key: value.value for key, value in data.metadata.items()}
