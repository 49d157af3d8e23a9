"""One op a step, the sweep, the restore test: each asks the core for a report and shows it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from clone_pipeline.core.archives.records import Archive
from clone_pipeline.core.archives.restore_test import choose_tested, run_archive_test
from clone_pipeline.core.archives.sweep import plan_archives, sweep_archives
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.errors import VerificationFailed, WorkError
from clone_pipeline.core.generations.sweep import SweepReport, plan_sweep, run_sweep
from clone_pipeline.core.kinds import KINDS, ResourceKind
from clone_pipeline.core.ledger.lease import step_out_of_run
from clone_pipeline.core.outputs import Published
from clone_pipeline.core.plan import begin
from clone_pipeline.core.plan.reservation import caller
from clone_pipeline.core.principal import Principal, require_writer
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.core.restore_test import RestoreTest, run_restore_test
from clone_pipeline.defs.automation import policy_of_archive, policy_of_run, queue_tags
from clone_pipeline.defs.checks import archive_evaluation, restore_evaluation
from clone_pipeline.defs.config import ArchiveConfig, CloneConfig, RestoreTestConfig, SweepConfig
from clone_pipeline.defs.history import forget_runs
from clone_pipeline.defs.metadata import (
    archive_materialization,
    archive_metadata,
    archive_sweep_metadata,
    restore_test_metadata,
    sweep_metadata,
)
from clone_pipeline.defs.outcome import (
    CLONE_ID_TAG,
    repeated_by_dagster,
    run_step,
    started_by,
    step,
)
from clone_pipeline.defs.partitions import add_backup, settle_partitions
from clone_pipeline.defs.resources import StoresResource
from clone_pipeline.policies.rules import backup_policies


@dg.op
def plan_clone(
    context: dg.OpExecutionContext, config: CloneConfig, stores: StoresResource
) -> StepReport:
    """Work out what the clone will do, and reserve its name."""
    with step(context, stores) as told:
        started = stores.stores.clock()
        request = parse_request(config.model_dump())
        try:
            clone = begin.begin(
                stores.stores,
                request,
                _asked_by(context, stores, request) or stores.principal,
                context.run_id,
                started_by(context),
                policy_of_run(context, request, stores.settings),
            )
            told.clone_id = clone.clone_id
            report = begin.report_plan(stores.stores, clone, started)
        finally:
            if not stores.process_goes_on:
                step_out_of_run(stores.stores, context.run_id)
        context.instance.add_run_tags(
            context.run_id,
            queue_tags(clone.organization_id, clone.namespace_name)
            | {
                CLONE_ID_TAG: clone.clone_id,
                "clone/source": clone.source_namespace_id,
                "clone/target_namespace": clone.namespace_name,
            },
        )
        return told.show(report)


def _asked_by(
    context: dg.OpExecutionContext, stores: StoresResource, request: CloneRequest
) -> Principal | None:
    """Who has asked for this run through the API; None for one that was launched elsewhere."""
    clone_id = context.run.tags.get(CLONE_ID_TAG)
    if clone_id is None:
        return None
    repeats = repeated_by_dagster(context.instance, context.run)
    return caller(stores.stores, clone_id, request.identity(), context.run_id, repeats)


@dg.op
def clone_config(
    context: dg.OpExecutionContext, planned: StepReport, stores: StoresResource
) -> StepReport:
    """Write the namespace's configuration: extractors, indexes, infrastructure."""
    return run_step(context, stores, planned)


def _op_of(kind: ResourceKind) -> dg.OpDefinition:
    """The op of a resource type, by the name of its step."""

    @dg.op(name=kind.step, description=kind.about, ins={kind.after: dg.In(StepReport)})
    def clone_kind(
        context: dg.OpExecutionContext, stores: StoresResource, **before: StepReport
    ) -> StepReport:
        return run_step(context, stores, before[kind.after])

    return clone_kind


CLONE_KIND = {kind.name: _op_of(kind) for kind in KINDS}
# Those that no other one comes after: with them, and the points, a clone is whole.
LAST_KINDS = [kind.plural for kind in KINDS if all(other.after != kind.plural for other in KINDS)]


@dg.op
def copy_points(
    context: dg.OpExecutionContext, collections: StepReport, stores: StoresResource
) -> StepReport:
    """Copy every point with its vectors, rewriting references on the way."""
    return run_step(context, stores, collections)


@dg.op(ins={name: dg.In(StepReport) for name in ("points", *LAST_KINDS)})
def copy_files(
    context: dg.OpExecutionContext, points: StepReport, stores: StoresResource, **_: StepReport
) -> StepReport:
    """Copy every S3 file that objects and payloads refer to, where the clone is to own them."""
    return run_step(context, stores, points)


@dg.op
def verify_clone(
    context: dg.OpExecutionContext, files: StepReport, stores: StoresResource
) -> StepReport:
    """Prove that the copy equals what was read, rewritten."""
    return run_step(context, stores, files)


@dg.op
def publish_clone(
    context: dg.OpExecutionContext, verified: StepReport, stores: StoresResource
) -> dict[str, Any]:
    """Make the clone ready, or swap it in, and sum up."""
    response = Published.of(run_step(context, stores, verified)).response
    return response


@dg.op
def write_archive(
    context: dg.OpExecutionContext, config: ArchiveConfig, stores: StoresResource
) -> dict[str, Any]:
    """Write a namespace as an archive, and read it back whole."""
    with step(context, stores):
        policy = policy_of_archive(
            context, config.namespace_identifier, config.address, stores.settings
        )
        wanted = Wanted(
            config.namespace_identifier, config.address, config.source_organization_id, policy
        )
        made = archive_namespace(
            stores.stores, wanted, stores.principal, context.run_id, context.log.info
        )
        if made.consistent is False:
            context.log.warning(
                "Points were written to meanwhile: the archive has each as it was when it was read."
            )
        context.add_output_metadata(archive_metadata(made))
        if made.policy is not None:
            point = archive_materialization(made)
            add_backup(context.instance, point.asset_key, made.name)
            context.log_event(point)
            context.log_event(archive_evaluation(made))  # type: ignore[arg-type]  # it takes them
        return made.to_json()


@dg.op
def sweep(
    context: dg.OpExecutionContext, config: SweepConfig, stores: StoresResource
) -> dict[str, int]:
    """Remove surplus backups, expired clones, failed leftovers and replaced generations."""
    with step(context, stores):
        principal, policies = stores.principal, backup_policies(stores.settings)
        plan = plan_sweep(stores.stores, principal.organization_id, policies)
        archives = plan_archives(stores.stores, principal.organization_id, policies)
        # Said before it is done: what goes is gone then.
        doomed = [entry.sentence for entry in plan.removals]
        for sentence in doomed + [entry.sentence for entry in archives.removed]:
            context.log.info(f"To be removed: {sentence}")
        report = SweepReport(removed=plan.removals, kept=plan.kept)
        if not config.dry_run:
            require_writer(principal)
            report = run_sweep(stores.stores, principal.organization_id, policies, plan)
            archives = sweep_archives(stores.stores, principal.organization_id, policies, archives)
            settle_partitions(context.instance, stores.stores)
            forgotten = forget_runs(context.instance, stores.stores.clock())
            context.log.info(f"Runs that Dagster does not keep any longer: {forgotten}.")
        failed = [entry.sentence for entry in report.failed]
        failed += [entry.sentence for entry in archives.failed]
        if failed:
            raise WorkError(
                f"{len(failed)} failed, the first one: {failed[0]} The next sweep tries again.",
                **{name: rows for name, rows in report.to_json().items() if rows},
            )
        context.add_output_metadata(
            sweep_metadata(report.to_json(), dry_run=config.dry_run)
            | archive_sweep_metadata(archives.to_json())
        )
        return report.counts


@dg.op
def try_restore(
    context: dg.OpExecutionContext, config: RestoreTestConfig, stores: StoresResource
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[dict[str, Any]]]:
    """Restore a backup into a scratch namespace, prove and search that, and drop it."""
    with step(context, stores):
        require_writer(stores.principal)
        result = _test(context, stores, config.backup)
        yield restore_evaluation(result)  # also of a bad backup, which fails the run
        if not result.good:
            raise VerificationFailed(result.sentence)
        yield dg.Output(result.to_json(), metadata=restore_test_metadata(result))


def _test(context: dg.OpExecutionContext, stores: StoresResource, identifier: str) -> RestoreTest:
    """Of an archive, or of a backup beside its source. A policy that has both, because it was
    changed, says which it makes now."""
    rule = backup_policies(stores.settings).get(identifier)
    archives = rule is None or rule.archives
    own, now = stores.principal.organization_id, stores.stores.clock()
    with stores.stores.catalog.read() as connection:
        tested = choose_tested(connection, own, identifier, now, archives=archives)
    if isinstance(tested, Archive):
        return run_archive_test(
            stores.stores, stores.principal, tested, context.run_id, context.log.info
        )
    return run_restore_test(
        stores.stores, stores.principal, identifier, context.run_id, context.log.info
    )
