"""One op a step, the sweep, the restore test: each asks the core for a report and shows it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from clone_pipeline.checks import restore_evaluation
from clone_pipeline.config import CloneConfig, RestoreTestConfig, SweepConfig
from clone_pipeline.core import ledger, reserve
from clone_pipeline.core.errors import VerificationFailed, WorkError
from clone_pipeline.core.lease import Lease, step_out
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.resolve import require_writer
from clone_pipeline.core.restore_test import run_restore_test
from clone_pipeline.core.sweep import SweepReport, plan_sweep, run_sweep
from clone_pipeline.metadata import restore_test_metadata, sweep_metadata
from clone_pipeline.resources import StoresResource
from clone_pipeline.step import CLONE_ID_TAG, run_step, started_by, step
from clone_pipeline.sweeping import backup_policies


@dg.op
def plan_clone(
    context: dg.OpExecutionContext, config: CloneConfig, stores: StoresResource
) -> StepReport:
    """Work out what the clone will do, and reserve its name."""
    with step(context, stores) as told:
        started = stores.stores.clock()
        request = parse_request(config.model_dump())
        reservation = context.run.tags.get(CLONE_ID_TAG)
        asked_by = reservation and ledger.asked_by(stores.stores, reservation, request.identity())
        clone = reserve.begin(
            stores.stores,
            request,
            asked_by or stores.principal,
            context.run_id,
            started_by(context),
            context.run.tags.get("clone/policy"),
            reservation,
        )
        told.clone_id = clone.clone_id
        if not stores.process_goes_on:
            step_out(Lease(stores.stores, clone.clone_id, clone.token))
        context.instance.add_run_tags(
            context.run_id,
            {
                CLONE_ID_TAG: clone.clone_id,
                "clone/source": clone.source_namespace_id,
                "clone/target_namespace": clone.namespace_name,
            },
        )
        seconds = (stores.stores.clock() - started).total_seconds()
        return told.show(reserve.plan_report(stores.stores, clone, seconds=round(seconds, 3)))


@dg.op
def clone_config(
    context: dg.OpExecutionContext, planned: StepReport, stores: StoresResource
) -> StepReport:
    """Write the namespace's configuration: extractors, indexes, infrastructure."""
    return run_step(context, stores, planned)


@dg.op
def clone_buckets(
    context: dg.OpExecutionContext, namespace: StepReport, stores: StoresResource
) -> StepReport:
    """Clone buckets and object records; they refer to the same S3 files."""
    return run_step(context, stores, namespace)


@dg.op
def clone_collections(
    context: dg.OpExecutionContext, buckets: StepReport, stores: StoresResource
) -> StepReport:
    """Clone the collections' configuration."""
    return run_step(context, stores, buckets)


@dg.op
def copy_points(
    context: dg.OpExecutionContext, collections: StepReport, stores: StoresResource
) -> StepReport:
    """Copy every point with its vectors, rewriting references on the way."""
    return run_step(context, stores, collections)


@dg.op
def clone_retrievers(
    context: dg.OpExecutionContext, collections: StepReport, stores: StoresResource
) -> StepReport:
    """Clone the retrievers, with every reference in their stages."""
    return run_step(context, stores, collections)


@dg.op
def clone_taxonomies(
    context: dg.OpExecutionContext, retrievers: StepReport, stores: StoresResource
) -> StepReport:
    """Clone the taxonomies, in all their versions, if asked for."""
    return run_step(context, stores, retrievers)


@dg.op
def verify_clone(
    context: dg.OpExecutionContext,
    points: StepReport,
    taxonomies: StepReport,
    stores: StoresResource,
) -> StepReport:
    """Prove that the copy equals what was read, rewritten."""
    return run_step(context, stores, points)


@dg.op
def publish_clone(
    context: dg.OpExecutionContext, verified: StepReport, stores: StoresResource
) -> dict[str, Any]:
    """Make the clone ready, or swap it in, and sum up."""
    response: dict[str, Any] = run_step(context, stores, verified).details["response"]
    return response


@dg.op
def sweep(
    context: dg.OpExecutionContext, config: SweepConfig, stores: StoresResource
) -> dict[str, int]:
    """Remove surplus backups, expired clones, failed leftovers and replaced generations."""
    with step(context, stores):
        principal, policies = stores.principal, backup_policies(stores.settings)
        plan = plan_sweep(stores.stores, principal.organization_id, policies)
        # Said before it is done: what goes is gone then.
        for entry in plan.removals:
            context.log.info(f"To be removed: {entry.sentence}")
        report = SweepReport(removed=plan.removals, kept=plan.kept)
        if not config.dry_run:
            require_writer(principal)
            report = run_sweep(stores.stores, principal.organization_id, policies, plan)
        if report.failed:
            raise WorkError(
                f"{len(report.failed)} of {len(plan.removals)} removals failed, the first one: "
                f"{report.failed[0].sentence} The next sweep tries again.",
                **{name: rows for name, rows in report.to_json().items() if rows},
            )
        context.add_output_metadata(sweep_metadata(report.to_json(), dry_run=config.dry_run))
        return report.counts


@dg.op
def try_restore(
    context: dg.OpExecutionContext, config: RestoreTestConfig, stores: StoresResource
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[dict[str, Any]]]:
    """Restore a backup into a scratch namespace, prove and search that, and drop it."""
    with step(context, stores):
        require_writer(stores.principal)
        result = run_restore_test(
            stores.stores, stores.principal, config.backup, context.run_id, context.log.info
        )
        yield restore_evaluation(result)  # also of a bad backup, which fails the run
        if not result.good:
            raise VerificationFailed(result.sentence)
        yield dg.Output(result.to_json(), metadata=restore_test_metadata(result))
