"""The sensor that tells people, or their programs, what is wrong with the policies."""

from datetime import datetime, timezone

import dagster as dg

from clone_pipeline.core.errors import NotFound
from clone_pipeline.core.ledger.watch import PolicyRecord, policy_records
from clone_pipeline.defs.automation import (
    POLICY_TAG,
    UNDER_WAY,
    WILL_RETRY_TAG,
    FailedTick,
    in_one_sentence,
    looking,
    targets,
)
from clone_pipeline.notify.alarms import LastRun, Verdict, Watched, judge, judge_file
from clone_pipeline.notify.deliver import deliver
from clone_pipeline.notify.told import Event, Memory, Told, news
from clone_pipeline.policies import BackupPolicy, Policies, RefreshPolicy, Target
from clone_pipeline.policies.intervals import expected_interval, expected_test_interval
from clone_pipeline.policies.load import RESTORE_TEST_PREFIX
from clone_pipeline.settings import Settings

_LOOK_SECONDS = 30
# How many of Dagster's runs are looked at, at least.
_FEWEST_RUNS = 100

Policy = BackupPolicy | RefreshPolicy


def notify_sensor(policies: Policies, settings: Settings) -> dg.SensorDefinition:
    """For a file that has `notify`."""
    loaded_at = datetime.now(timezone.utc)

    @in_one_sentence
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """A catalog that cannot be read fails the tick: nobody can tell what is wrong then."""
        now = datetime.now(timezone.utc)
        memory = Memory.from_json(context.cursor)
        before = memory.to_json()
        verdicts = [judge_file(tuple(str(one) for one in policies.problems), loaded_at)]
        for one in _watched(policies, settings, context.instance, memory, now):
            verdicts += judge(one, now)
        failures, sent = _tell(policies, memory, verdicts, now)
        after = memory.to_json()
        if failures and after == before:
            raise FailedTick("\n".join(failures))
        for sentence in failures:
            context.log.error(sentence)
        said = " ".join([_summary(verdicts), *sent, *failures])
        return dg.SensorResult(skip_reason=said, cursor=after)

    return dg.SensorDefinition(
        name="notifications",
        evaluation_fn=evaluate,
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the targets of `notify` once when a policy has failed, is overdue, "
        "could not be proven, or its restore test failed or is overdue, and once when that is "
        "over. Running by default.",
    )


def _watched(
    policies: Policies,
    settings: Settings,
    instance: dg.DagsterInstance,
    memory: Memory,
    now: datetime,
) -> list[Watched]:
    """The policies of which something is expected, with what is known of their last runs."""
    records = {where: _records(settings, where) for where in targets(policies)}
    every: list[Policy] = [*policies.backups, *policies.refreshes]
    runs = _last_runs(instance, [policy.name for policy in every if policy.enabled])
    found = []
    for policy in every:
        record = _record_of(policy, *records[policy.target_environment])
        succeeded = record is not None and record.succeeded_at is not None
        since = memory.since(policy.name, _rule(policy), succeeded, now)
        tested = record is not None and record.restore_tested_at is not None
        tests_since = memory.since(_tests_of(policy), _test_rule(policy), tested, now)
        if policy.enabled:
            found.append(
                Watched(
                    name=policy.name,
                    purpose="backup" if isinstance(policy, BackupPolicy) else "refresh",
                    source=policy.source,
                    turn=expected_interval(policy, now),
                    since=since,
                    test_turn=expected_test_interval(policy, now),
                    tests_since=tests_since,
                    record=record,
                    run=runs.get(policy.name),
                )
            )
    in_the_file = {name for policy in every for name in (policy.name, _tests_of(policy))}
    for name in memory.expected.keys() - in_the_file:
        # What the file has by mistake in a broken entry only, is still expected.
        if not policies.problems:
            del memory.expected[name]
    return found


def _rule(policy: Policy) -> str | None:
    """When it is to run, as the file says it; None while it is not to run."""
    max_age = policy.max_age_seconds if isinstance(policy, RefreshPolicy) else None
    return f"{policy.cron} {policy.timezone} {max_age}" if policy.enabled else None


def _tests_of(policy: Policy) -> str:
    """What expects its restore tests: their schedule, as which no policy is called."""
    return f"{RESTORE_TEST_PREFIX}{policy.name}"


def _test_rule(policy: Policy) -> str | None:
    """When its backups are to be tested; None while they are not to be. The place counts: what was
    tested there is not tested here."""
    if isinstance(policy, RefreshPolicy) or policy.restore_test is None or not policy.enabled:
        return None
    return f"{policy.restore_test.cron} {policy.timezone} {policy.to}"


def _records(settings: Settings, environment: str | None) -> tuple[list[PolicyRecord], str | None]:
    """Of every policy that writes into an environment, and the organization that they work for if
    they name no other one."""
    try:
        with (
            looking(settings, environment) as (stores, principal),
            stores.catalog.read() as connection,
        ):
            return policy_records(connection, None), principal.organization_id
    except NotFound:  # no catalog yet
        return [], None


def _record_of(
    policy: Policy, records: list[PolicyRecord], organization_id: str | None
) -> PolicyRecord | None:
    """Another organization may have a policy of the same name; the local operator works for all."""
    request = policy.request(policy.name) if isinstance(policy, BackupPolicy) else policy.request()
    whose = request["organization_id"] or organization_id
    mine = [
        one for one in records if one.policy == policy.name and whose in (None, one.organization_id)
    ]
    return max(mine, key=lambda one: one.begun_at, default=None)


def _last_runs(instance: dg.DagsterInstance, policies: list[str]) -> dict[str, LastRun]:
    """The newest run of each policy, by one query. One that so many others have run after counts as
    not known: what was told of it stands."""
    if not policies:
        return {}
    newest_first = instance.get_run_records(
        dg.RunsFilter(tags={POLICY_TAG: policies}), limit=max(_FEWEST_RUNS, 2 * len(policies))
    )
    found: dict[str, LastRun] = {}
    for record in newest_first:
        found.setdefault(record.dagster_run.tags[POLICY_TAG], _run(record))
    return found


def _run(record: dg.RunRecord) -> LastRun:
    run = record.dagster_run
    ended = run.status not in UNDER_WAY and run.tags.get(WILL_RETRY_TAG) != "true"
    end_time = record.end_time or record.update_timestamp.timestamp()
    return LastRun(
        run_id=run.run_id,
        asked_at=record.create_timestamp,
        ended_at=datetime.fromtimestamp(end_time, timezone.utc) if ended else None,
        failed=run.status != dg.DagsterRunStatus.SUCCESS,
    )


def _tell(
    policies: Policies, memory: Memory, verdicts: list[Verdict], now: datetime
) -> tuple[list[str], list[str]]:
    """What kept targets from being told, and what others were told; the memory has the latter."""
    pending: list[tuple[Target, list[Event]]] = []
    after: dict[str, Told] = {}
    for target in policies.notify:
        told = memory.told.get(target.name, {})
        gone = _gone(policies, told)
        events, after[target.name] = news(told, verdicts, target, gone, now)
        if events:
            pending.append((target, events))
    failed = deliver(pending, lambda: datetime.now(timezone.utc))
    memory.told = {
        name: memory.told.get(name, {}) if failed.get(name) else told
        for name, told in after.items()
    }
    sent = [
        f"{target.name} was told of {len(events)}."
        for target, events in pending
        if failed[target.name] is None
    ]
    return [sentence for sentence in failed.values() if sentence is not None], sent


def _gone(policies: Policies, told: Told) -> set[str]:
    """Of what was told, the policies of which nothing is expected any more. While the file has
    mistakes, one that is not in it may only be broken."""
    every: list[Policy] = [*policies.backups, *policies.refreshes]
    disabled = {policy.name for policy in every if not policy.enabled}
    absent = told.keys() - {policy.name for policy in every} - {""}
    return disabled if policies.problems else disabled | absent


def _summary(verdicts: list[Verdict]) -> str:
    wrong = [f"{one.policy or 'the file'}: {one.kind}" for one in verdicts if one.wrong]
    return f"Wrong now: {', '.join(wrong[:20])}." if wrong else "Nothing is wrong."
