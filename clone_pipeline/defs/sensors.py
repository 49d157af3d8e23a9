"""Sensors: refreshes on a change, runs that died without a word, and the policies file itself."""

import json
from functools import partial

import dagster as dg

from clone_pipeline.core.archives import records as archives
from clone_pipeline.core.errors import CloneError, NotFound, WorkError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.plan.reservation import RunState, Waiting, list_waiting, settle
from clone_pipeline.core.refresh import marks
from clone_pipeline.core.refresh.decide import (
    Attempt,
    History,
    Outcome,
    Run,
    Seen,
    Skip,
    decide,
    look,
)
from clone_pipeline.core.refresh.target import read_target
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.source import source_environment
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.automation import (
    ATTEMPT_TAG,
    CAUSE_TAG,
    DISABLED,
    POLICY_TAG,
    UNDER_WAY,
    WILL_RETRY_TAG,
    FailedTick,
    in_one_sentence,
    looking,
    policy_tags,
    resolve_request,
    runs_ahead,
    target_of_run,
    targets,
)
from clone_pipeline.defs.jobs import archive_namespace, clone_namespace, test_restore
from clone_pipeline.defs.notifying import notify_sensor
from clone_pipeline.defs.outcome import AUTO_RETRY_TAG
from clone_pipeline.defs.partitions import partitions_sensor
from clone_pipeline.policies import Policies, RefreshPolicy, read_policies
from clone_pipeline.policies.load import SENSOR_PREFIX
from clone_pipeline.settings import Settings

# Enough to know what was tried for which cause; a tick reads no more, however long it has run.
_RUNS = 50
_LOOK_SECONDS = 30
# All refreshes together look once in so many seconds at most: each look has its tick, which costs
# Dagster more than us.
_APART_SECONDS = 5
_OUTCOMES: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


def policy_sensors(policies: Policies, settings: Settings) -> list[dg.SensorDefinition]:
    """One for each refresh that watches its source, and those that look after the rest."""
    to_watch = [policy for policy in policies.refreshes if policy.on_change is not None]
    at_work = sum(policy.enabled for policy in to_watch)
    every = max(_LOOK_SECONDS, at_work * _APART_SECONDS)
    watching = [_refresh_sensor(policy, settings, every) for policy in to_watch]
    looking_after = [
        _failed_sensor(settings),
        _cancelled_sensor(settings),
        _waiting_sensor(policies, settings),
        partitions_sensor(policies, settings),
    ]
    if settings.policies is not None:
        looking_after.append(_file_sensor(policies, settings))
    if policies.notify:
        looking_after.append(notify_sensor(policies, settings))
    return [*watching, *looking_after]


# ---- staging_refresh -------------------------------------------------------------------------


# Else a target would be taken for up to date for ever.
_SILENT = (
    " Writes to its points are not seen: its Qdrant does not tell of the last one (it is a cluster "
    "of several nodes, older than 1.17, or its key may not read the telemetry). Give the policy "
    "`max_age_seconds` too."
)


def _refresh_sensor(policy: RefreshPolicy, settings: Settings, every: int) -> dg.SensorDefinition:
    @in_one_sentence
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """What a run would be refused for, such as a source that is not there, fails the tick; a
        store that is away does not: it comes back."""
        if not policy.enabled:
            return dg.SensorResult(skip_reason=DISABLED)
        try:
            with looking(settings, policy.target_environment) as (stores, principal):
                parties = resolve_request(stores, principal, policy.request())
                kept = json.loads(context.cursor) if context.cursor else {}
                wanted = parse_request(policy.request())
                where = stores.source(source_environment(wanted))
                mark = marks.source_mark(where, parties.source, kept.get("points"))
                with stores.catalog.read() as connection:
                    target = read_target(
                        connection, parties.organization_id, policy.target, mark, wanted
                    )
                now = stores.clock()
        except WorkError as error:
            return dg.SensorResult(skip_reason=error.message)
        before = Seen.from_json(kept["seen"]) if "seen" in kept else None
        seen = look(before, mark.text, now)
        cursor = {"seen": seen.to_json(), "points": mark.points}
        history = _history(context.instance, policy.name)
        decision = decide(seen, now, policy.rules, target, history)
        if isinstance(decision, Skip):
            unseen = mark.silent and policy.rules.max_age is None
            reason = decision.reason + (_SILENT if unseen else "")
            return dg.SensorResult(skip_reason=reason, cursor=json.dumps(cursor))
        context.log.info(f"Refreshing {policy.target}: {decision.reason}")
        ahead = runs_ahead(context.instance, parties.organization_id)
        tags = policy_tags(policy.name, "refresh", policy.target, parties.organization_id, ahead)
        return dg.SensorResult(
            run_requests=[_run_request(policy, decision, tags)], cursor=json.dumps(cursor)
        )

    rules = policy.rules
    return dg.SensorDefinition(
        name=f"{SENSOR_PREFIX}{policy.name}",
        # By name: given the job itself, Dagster warns of a feature in beta that we do not use.
        job_name=clone_namespace.name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=every,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if policy.enabled else dg.DefaultSensorStatus.STOPPED
        ),
        description=f"Refreshes {policy.target} when {policy.source} has changed and was quiet for "
        f"{rules.quiet_period} s, at most every {rules.minimum_interval} s. "
        + ("Running by default, because the policy is enabled." if policy.enabled else DISABLED),
    )


def _history(instance: dg.DagsterInstance, policy: str) -> History:
    runs = instance.get_run_records(dg.RunsFilter(tags={POLICY_TAG: policy}), limit=_RUNS)
    return History(tuple(_attempt(record) for record in runs))


def _attempt(record: dg.RunRecord) -> Attempt:
    run = record.dagster_run
    return Attempt(
        run_id=run.run_id,
        cause=run.tags.get(CAUSE_TAG),
        number=int(run.tags.get(ATTEMPT_TAG, "1")),
        asked_at=record.create_timestamp,
        outcome=_OUTCOMES.get(run.status, "running"),
    )


def _run_request(policy: RefreshPolicy, run: Run, tags: dict[str, str]) -> dg.RunRequest:
    """The key holds what the run is for: asked for twice, it is launched once."""
    return dg.RunRequest(
        run_key=f"{policy.name}:{run.cause}:{run.attempt}",
        run_config=policy.request(),
        tags=tags | {CAUSE_TAG: run.cause, ATTEMPT_TAG: str(run.attempt)},
    )


# ---- clone_failed ----------------------------------------------------------------------------


def _failed_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="clone_failed",
        monitored_jobs=[clone_namespace, archive_namespace, test_restore],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks the clone of a failed run as failed, also where the run could not do "
        "so itself, such as after a killed worker. Running by default.",
    )
    def clone_failed(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        if context.dagster_run.tags.get(WILL_RETRY_TAG) == "true":
            return dg.SkipReason("The run will be retried by itself, and resumes the clone.")
        return _record_end(context, settings, "The run failed")

    return clone_failed


def _cancelled_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.CANCELED,
        name="clone_cancelled",
        monitored_jobs=[clone_namespace, archive_namespace, test_restore],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks the clone of a cancelled run as failed, also where the run could not "
        "do so itself. Running by default.",
    )
    def clone_cancelled(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        return _record_end(context, settings, "The run was cancelled")

    return clone_cancelled


def _record_end(
    context: dg.RunStatusSensorContext, settings: Settings, what: str
) -> dg.SkipReason | None:
    """Tells the ledger, unless it knows. Raises what keeps it from that; Dagster shows it and goes
    on, and the lease still says that the clone can be resumed."""
    run = context.dagster_run
    try:
        with looking(settings, target_of_run(run)) as (stores, _):
            if _fail_archive(context, stores, run.run_id, what):
                return None
            with stores.catalog.read() as connection:
                clone = ledger.of_any_run(connection, run.run_id)
            if clone.run_id != run.run_id or clone.status != "cloning":
                return dg.SkipReason(
                    f"The clone {clone.namespace_name!r} is {clone.status}; nothing is left to do."
                )
            sentence = f"{what} without a word, as when its process is killed; resume the clone."
            ledger.end_run(stores, clone.clone_id, run.run_id, sentence)
    except NotFound as error:  # it has made no clone
        return dg.SkipReason(error.message)
    context.log.error(f"{clone.namespace_name}: {sentence}")
    return None


def _fail_archive(
    context: dg.RunStatusSensorContext, stores: Stores, run_id: str, what: str
) -> bool:
    """Whether the run was writing an archive: that is noted to have failed then."""
    sentence = f"{what} without a word, as when its process is killed; run it again to go on."
    with stores.catalog.write() as connection:
        found = archives.fail(connection, run_id, sentence, stores.clock())
    for address in found:
        context.log.error(f"{address}: {sentence}")
    return bool(found)


# ---- clones_in_waiting -----------------------------------------------------------------------


def _waiting_sensor(policies: Policies, settings: Settings) -> dg.SensorDefinition:
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        waiting, said = 0, list[str]()
        for environment in targets(policies):
            try:
                waiting += _settle_all(context, settings, environment)
            except CloneError as error:
                said.append(error.message)
        said += [f"Clones that are being made, or wait for their run: {waiting}."] * (not said)
        return dg.SkipReason(" ".join(said))

    return dg.SensorDefinition(
        name="clones_in_waiting",
        evaluation_fn=evaluate,
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keeps the reservations of clones whose run waits in the queue, and marks "
        "clones as failed whose run is gone. Running by default.",
    )


def _settle_all(
    context: dg.SensorEvaluationContext, settings: Settings, environment: str | None
) -> int:
    """How many there are. In another environment other deployments may have runs of their own, of
    which nothing is known here: only those are looked after that are known."""
    with looking(settings, environment) as (stores, _):
        with stores.catalog.read() as connection:
            waiting = list_waiting(connection)
        for one in waiting:
            run = _run_of(context.instance, one)
            if run is None and environment is not None:
                continue
            told = settle(stores, one, _state(run), partial(_end, context.instance, run))
            if told is not None:
                context.log.error(f"{one.clone_id}: {told}")
    return len(waiting)


def _run_of(instance: dg.DagsterInstance, waiting: Waiting) -> dg.DagsterRun | None:
    """The run that is to make a clone: the one on record, or the last one that Dagster has put in
    its place."""
    run = instance.get_run_by_id(waiting.run_id) if waiting.run_id else None
    while run is not None and AUTO_RETRY_TAG in run.tags:
        run = instance.get_run_by_id(run.tags[AUTO_RETRY_TAG])
    return run


def _state(run: dg.DagsterRun | None) -> RunState:
    """Whether anything is to be expected of a run."""
    if run is None:
        return "none"
    retried = run.tags.get(WILL_RETRY_TAG) == "true"
    return "under way" if run.status in UNDER_WAY or retried else "ended"


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun | None, why: str) -> None:
    """Dagster does not notice by itself that a run is gone whose code server or worker went with
    it, as when the machine was switched off: it would count as at work, and keep its place in the
    queue. Its own retry begins where it ended."""
    if run is not None and run.status in UNDER_WAY:
        instance.report_run_failed(run, why)


# ---- policies_file ---------------------------------------------------------------------------


def _file_sensor(policies: Policies, settings: Settings) -> dg.SensorDefinition:
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = read_policies(settings.policies)
        if now.problems:
            raise FailedTick("\n".join(str(problem) for problem in now.problems))
        if now.version != policies.version:
            raise FailedTick(
                f"{settings.policies} has changed since it was loaded: reload the code location."
            )
        count = len(policies.backups) + len(policies.refreshes)
        many = "1 policy, and it is" if count == 1 else f"{count} policies, and all are"
        return dg.SkipReason(f"{settings.policies}: {many} in order.")

    return dg.SensorDefinition(
        name="policies_file",
        evaluation_fn=evaluate,
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Its tick fails with one sentence for each mistake in the policies file, and "
        "when the file has changed since it was loaded. Running by default.",
    )
