"""Shared by the ops: a report becomes metadata, an error becomes Failure or RetryRequested.

There is no RetryPolicy on the ops. With the in-process executor it turns a cancel into a retry,
and a cancelled run ends as a success (dagster-io/dagster#15026).
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import dagster as dg

from clone_pipeline.core import steps
from clone_pipeline.core.errors import CloneError, LeaseLost, NotFound, StoreUnavailable, unexpected
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.report import StepReport
from clone_pipeline.defs.checks import equality_evaluation
from clone_pipeline.defs.metadata import (
    Metadata,
    failure_metadata,
    partial_metadata,
    report_metadata,
    summary_materialization,
)
from clone_pipeline.defs.partitions import add_backup
from clone_pipeline.defs.resources import StoresResource
from clone_pipeline.defs.watched import ENDED_BADLY, is_over, watched

# Five tries within about twenty seconds. In process, a cancel is heard only when a wait is over.
MAX_RETRIES = 4
LONGEST_WAIT = 10.0

# By it people find a clone's run, and a run its reservation. Anybody may write it: it gives no
# right.
CLONE_ID_TAG = "clone/id"
# Dagster says with a run whose worker died which other one it has put in its place.
AUTO_RETRY_TAG = "dagster/auto_retry_run_id"

CANCELLED = f"{ledger.CANCELLED}; resume the clone, or delete it."


def started_by(context: dg.OpExecutionContext) -> frozenset[str]:
    """The runs that this one repeats because they did not end well: the one it was re-executed
    from, the one before that, up to the first. To repeat a good one is to ask for another clone,
    and one that is at work is not over because somebody repeats it."""
    before: dict[str, dg.DagsterRun] = {}
    earlier = context.run.parent_run_id
    while earlier is not None and earlier not in before:
        run = context.instance.get_run_by_id(earlier)
        if run is None:
            break
        before[earlier], earlier = run, run.parent_run_id
    return frozenset(one.run_id for one in before.values() if one.status in ENDED_BADLY)


def repeated_by_dagster(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The run in whose place Dagster itself has put this one, because its worker died. Whoever
    launches may call any run its parent; what Dagster has done stands with the parent."""
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    if parent is None or parent.tags.get(AUTO_RETRY_TAG) != run.run_id:
        return None
    return parent.run_id


@dataclass
class Told:
    """What the step has found out; `clone_id` is None until the clone is reserved."""

    context: dg.OpExecutionContext
    clone_id: str | None = None

    def show(self, report: StepReport) -> StepReport:
        """Puts a report where people look: output metadata, warnings in the log."""
        for warning in report.warnings:
            if report.step != "publish_clone":
                self.context.log.warning(warning)
        self.context.add_output_metadata(report_metadata(report))
        return report


@contextmanager
def step(context: dg.OpExecutionContext, stores: StoresResource) -> Iterator[Told]:
    """Whatever ends the step, the ledger hears of it, and Dagster gets one clear sentence."""
    told = Told(context)
    stores.tell_with(context.log.info)
    try:
        with watched(context, lambda: _cut_off(told, stores)):
            yield told
    except StoreUnavailable as error:
        if context.retry_number < MAX_RETRIES:
            wait = _wait(context.retry_number, error.retry_after)
            context.log.warning(f"{error.message} Trying again in {wait:.1f} s.")
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
        raise _failure(told, stores, error) from error
    except CloneError as error:
        raise _failure(told, stores, error) from error
    except dg.DagsterExecutionInterruptedError:
        # Dagster itself adds tracebacks, out of which nobody reads what to do now.
        if not is_over(context) and _record(told, stores, CANCELLED):
            context.log.error(CANCELLED)
        raise
    except Exception as error:
        # A mistake of ours: the traceback goes to the log, the sentence to the person.
        context.log.exception("The step failed unexpectedly.")
        raise _failure(told, stores, unexpected(error)) from error


def run_step(
    context: dg.OpExecutionContext, stores: StoresResource, before: StepReport
) -> StepReport:
    """Runs the step that has the op's name, for the clone that `before` is about."""
    with step(context, stores) as told:
        told.clone_id = before.clone_id
        report = steps.run_step(
            stores.stores,
            before.clone_id,
            context.run_id,
            context.op.name,
            process_goes_on=stores.process_goes_on,
            tell=context.log.info,
            ended=started_by(context),
        )
        if report.step == "publish_clone":
            made = summary_materialization(report)
            if made.partition is not None:
                add_backup(context.instance, made.asset_key, made.partition)
            context.log_event(made)
            context.log_event(equality_evaluation(report))  # type: ignore[arg-type]  # it takes them
        return told.show(report)


def _wait(attempt: int, asked: float | None) -> float:
    """Seconds: exponential with jitter; longer where the store asks, within the bound."""
    backoff = 2.0**attempt * (0.5 + random.random() / 2)  # noqa: S311
    return min(LONGEST_WAIT, max(backoff, asked or 0.0))


def _failure(told: Told, stores: StoresResource, error: CloneError) -> dg.Failure:
    # A run that lost its lease has no say any more over the clone.
    if not isinstance(error, LeaseLost):
        _record(told, stores, error.message)
    return dg.Failure(
        description=error.message,
        metadata=failure_metadata(error, told.clone_id) | _so_far(told, stores),
        allow_retries=False,
    )


def _so_far(told: Told, stores: StoresResource) -> Metadata:
    """The partial report: what of the clone is done, which a resume does not repeat."""
    if told.clone_id is None:
        return {}
    try:
        with stores.stores.catalog.read() as connection:
            reports = ledger.read_reports(connection, told.clone_id)
            points = ledger.points_copied(connection, told.clone_id)
    except CloneError:
        return {}  # the catalog may be the very thing that failed
    return partial_metadata(reports, points)


def _record(told: Told, stores: StoresResource, sentence: str) -> bool:
    """Tells the ledger how the clone has ended. False where there is none, or it heard nothing."""
    run_id = told.context.run_id
    try:
        ledger.fail(stores.stores, told.clone_id or _reserved(stores, run_id), run_id, sentence)
    except NotFound:
        return False  # the run failed before it had a clone
    except CloneError as error:
        # The lease runs out by itself, and the clone can be resumed then.
        told.context.log.warning(f"The ledger could not be told: {error.message}")
        return False
    return True


def _cut_off(told: Told, stores: StoresResource) -> None:
    """For a step that goes on although its run was cancelled."""
    with suppress(CloneError):  # it made no clone, or the catalog is away and hears no writer
        run_id = told.context.run_id
        clone_id = told.clone_id or _reserved(stores, run_id)
        ledger.end_run(stores.stores, clone_id, run_id, CANCELLED)


def _reserved(stores: StoresResource, run_id: str) -> str:
    """The clone of a run that could take its name, but not finish its plan. Raises NotFound."""
    with stores.stores.catalog.read() as connection:
        return ledger.of_run(connection, run_id).clone_id
