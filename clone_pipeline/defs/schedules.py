"""Schedules: of policies and their restore tests, of the sweep and of the checks."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg

from clone_pipeline.core.archives.restore_test import choose_tested
from clone_pipeline.core.errors import InvalidRequest, NotFound, WorkError
from clone_pipeline.core.refresh.decide import held
from clone_pipeline.core.refresh.target import read_target
from clone_pipeline.defs.automation import (
    DISABLED,
    KIND_TAG,
    RESTORE_TEST_TAG,
    in_one_sentence,
    looking,
    policy_tags,
    refusal,
    resolve_archived,
    resolve_request,
    run_under_way,
    runs_ahead,
    targets,
)
from clone_pipeline.defs.config import nothing_at_the_root
from clone_pipeline.defs.jobs import (
    archive_namespace,
    clone_namespace,
    sweep_namespaces,
    test_restore,
)
from clone_pipeline.policies import BackupPolicy, Policies, RefreshPolicy
from clone_pipeline.policies.load import RESTORE_TEST_PREFIX
from clone_pipeline.settings import Settings

Evaluated = dg.RunRequest | dg.SkipReason

# How far the clocks of daemon and code server may be apart.
_CLOCKS_APART = timedelta(minutes=5)


def policy_schedules(policies: Policies, settings: Settings) -> list[dg.ScheduleDefinition]:
    """Ticks that were missed while the daemon was down are made up for by one, the latest:
    Dagster does so for every schedule without partitions."""
    backups = [_backup_schedule(policy, settings) for policy in policies.backups]
    tests = [
        _restore_test_schedule(policy, policy.restore_test.cron, settings)
        for policy in policies.backups
        if policy.restore_test is not None
    ]
    return (
        backups
        + tests
        + [
            _refresh_schedule(policy, policy.cron, settings)
            for policy in policies.refreshes
            if policy.cron is not None
        ]
    )


def sweep_schedule(policies: Policies) -> dg.ScheduleDefinition:
    """With policies or without: expired clones and leftovers are nobody's policy. Environments that
    policies write into are swept, too."""

    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        moment = context.scheduled_execution_time.isoformat()
        for name in targets(policies):
            yield dg.RunRequest(run_key=f"sweep:{name or ''}:{moment}", run_config=_in(name))

    return dg.ScheduleDefinition(
        name="hourly_sweep",
        job=sweep_namespaces,
        execution_fn=evaluate,
        cron_schedule="17 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes surplus backups, expired clones, failed leftovers and replaced "
        "generations, at 17 minutes past each hour. Running by default. "
        "`clone-pipeline sweep --dry-run` shows what would go.",
    )


def check_schedule(checks: dg.AssetChecksDefinition) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="daily_checks",
        job=dg.define_asset_job(
            "check_clones",
            selection=dg.AssetSelection.checks(checks),
            config=nothing_at_the_root,
            description="Look up in the ledger how each clone was proven, and when each backup "
            "was tested.",
        ),
        cron_schedule="30 6 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Evaluates the asset checks of clones and backups, at 6:30 each day. Running "
        "by default.",
    )


def _restore_test_schedule(
    policy: BackupPolicy, cron: str, settings: Settings
) -> dg.ScheduleDefinition:
    @in_one_sentence
    def evaluate(context: dg.ScheduleEvaluationContext) -> Evaluated:
        if not policy.enabled:
            return dg.SkipReason(DISABLED)
        _refuse_what_is_to_come(context)
        if _has_nothing_to_restore(policy, settings):
            return dg.SkipReason(
                f"No backup of {policy.name} is proven yet, so there is none to restore."
            )
        moment = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(
            run_key=f"{RESTORE_TEST_PREFIX}{policy.name}:{moment}",
            run_config={"backup": policy.name} | _in(policy.target_environment),
            tags={KIND_TAG: "restore test", RESTORE_TEST_TAG: policy.name},
        )

    return dg.ScheduleDefinition(
        name=f"{RESTORE_TEST_PREFIX}{policy.name}",
        job_name=test_restore.name,
        cron_schedule=cron,
        execution_timezone=policy.timezone,
        execution_fn=evaluate,
        default_status=_default_status(policy.enabled),
        description=f"Restores the newest backup of {policy.name} into a scratch namespace, proves "
        f"and searches it, and drops it, at {cron} ({policy.timezone}). "
        f"{_stated(policy.enabled)}",
    )


def _has_nothing_to_restore(policy: BackupPolicy, settings: Settings) -> bool:
    """A new policy's test may be due before its first backup. That backups are missing is told as
    that, and not as a test that failed. A catalog that cannot be reached now says nothing."""
    try:
        with looking(settings, policy.target_environment) as (stores, principal):
            own, now, archives = principal.organization_id, stores.clock(), policy.to is not None
            with stores.catalog.read() as connection:
                choose_tested(connection, own, policy.name, now, archives=archives)
    except NotFound:
        return True
    except WorkError:
        return False
    return False


def _backup_schedule(policy: BackupPolicy, settings: Settings) -> dg.ScheduleDefinition:
    @in_one_sentence
    def evaluate(context: dg.ScheduleEvaluationContext) -> Evaluated:
        if not policy.enabled:
            return dg.SkipReason(DISABLED)
        _refuse_what_is_to_come(context)
        moment = context.scheduled_execution_time
        name = policy.clone_name(moment)
        request = policy.request(name)
        running = run_under_way(context.instance, policy.name)
        if running is not None:
            return dg.SkipReason(_overlaps(policy.name, running))
        if policy.to is None:
            organization_id = refusal(settings, request)
        else:
            request = policy.archive_config(name)
            organization_id = refusal(settings, request, resolve_archived)
        ahead = runs_ahead(context.instance, organization_id)
        tags = policy_tags(policy.name, "backup", name, organization_id, ahead)
        return _run(policy, request, tags, moment.isoformat())

    return dg.ScheduleDefinition(
        name=policy.name,
        # By name: given the job itself, Dagster makes each schedule twice.
        job_name=(clone_namespace if policy.to is None else archive_namespace).name,
        cron_schedule=policy.cron,
        execution_timezone=policy.timezone,
        execution_fn=evaluate,
        default_status=_default_status(policy.enabled),
        description=f"Backs {policy.source} up as "
        f"{policy.address(policy.clone_names) or policy.clone_names}, at {policy.cron} "
        f"({policy.timezone}). {_stated(policy.enabled)}",
    )


def _refresh_schedule(
    policy: RefreshPolicy, cron: str, settings: Settings
) -> dg.ScheduleDefinition:
    @in_one_sentence
    def evaluate(context: dg.ScheduleEvaluationContext) -> Evaluated:
        if not policy.enabled:
            return dg.SkipReason(DISABLED)
        _refuse_what_is_to_come(context)
        running = run_under_way(context.instance, policy.name)
        if running is not None:
            return dg.SkipReason(_overlaps(policy.name, running))
        organization_id, is_held = _target(policy, settings)
        if is_held:
            return dg.SkipReason(held(policy.target))
        moment = context.scheduled_execution_time.isoformat()
        ahead = runs_ahead(context.instance, organization_id)
        tags = policy_tags(policy.name, "refresh", policy.target, organization_id, ahead)
        return _run(policy, policy.request(), tags, moment)

    return dg.ScheduleDefinition(
        name=policy.name,
        job_name=clone_namespace.name,
        cron_schedule=cron,
        execution_timezone=policy.timezone,
        execution_fn=evaluate,
        default_status=_default_status(policy.enabled),
        description=f"Refreshes {policy.target} from {policy.source}, at {cron} "
        f"({policy.timezone}). {_stated(policy.enabled)}",
    )


def _in(environment: str | None) -> dict[str, str]:
    return {} if environment is None else {"environment": environment}


def _refuse_what_is_to_come(context: dg.ScheduleEvaluationContext) -> None:
    """The UI can evaluate a tick of any time: launched now, one of the future would have the name
    and the run key of the one that is due then. Raises InvalidRequest."""
    moment = context.scheduled_execution_time
    if moment > datetime.now(timezone.utc) + _CLOCKS_APART:
        raise InvalidRequest(
            f"{moment.isoformat()} is still to come: a run launched for it now would be in the "
            "place of the one that is due then. Choose a time that is past."
        )


def _target(policy: RefreshPolicy, settings: Settings) -> tuple[str, bool]:
    """Whose it is, and whether it is held. Raises what a run would be refused for. Unlike a backup,
    a refresh does not go ahead where the catalog cannot be reached: it might undo a rollback."""
    with looking(settings, policy.target_environment) as (stores, principal):
        parties = resolve_request(stores, principal, policy.request())
        with stores.catalog.read() as connection:
            target = read_target(connection, parties.organization_id, policy.target)
    return parties.organization_id, target.held


def _run(
    policy: BackupPolicy | RefreshPolicy, request: dict[str, Any], tags: dict[str, str], moment: str
) -> dg.RunRequest:
    return dg.RunRequest(run_key=f"{policy.name}:{moment}", run_config=request, tags=tags)


def _overlaps(name: str, run_id: str) -> str:
    return f"The run {run_id} of {name} is still under way."


def _default_status(enabled: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if enabled else dg.DefaultScheduleStatus.STOPPED


def _stated(enabled: bool) -> str:
    if enabled:
        return "Running by default, because the policy is enabled."
    return "Stopped, because the policy says `enabled: false`."
