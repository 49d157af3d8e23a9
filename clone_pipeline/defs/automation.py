"""Shared by schedules and sensors: what a policy's run carries, and how stores are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._utils.error import SerializableErrorInfo  # type: ignore[attr-defined]

from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.errors import CloneError, NotFound, WorkError
from clone_pipeline.core.plan.parties import Parties
from clone_pipeline.core.plan.resolve import resolve_parties, resolve_source
from clone_pipeline.core.principal import Principal, require_writer
from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.core.source import reading_for
from clone_pipeline.core.stores import Stores
from clone_pipeline.deployment import find_principal, open_stores
from clone_pipeline.policies import Policies, read_policies
from clone_pipeline.settings import Settings

POLICY_TAG = "clone/policy"
KIND_TAG = "clone/policy_kind"
CAUSE_TAG = "clone/cause"
ATTEMPT_TAG = "clone/attempt"
RESTORE_TEST_TAG = "clone/restore_test"
ORGANIZATION_TAG = "clone/organization"
PRIORITY_TAG = "dagster/priority"
WILL_RETRY_TAG = "dagster/will_retry"

# Who has more runs than that waits in the order of asking: else the last of many might never come.
_MOST_AHEAD = 10

DISABLED = "The policy says `enabled: false`."

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNDER_WAY = [status for status in dg.DagsterRunStatus if status not in ENDED]


Evaluate = TypeVar("Evaluate", bound=Callable[..., Any])


class FailedTick(DagsterUserCodeProcessError):
    """Makes a tick a failed one, which is what people notice, and is shown as its sentence alone.
    Of any other error Dagster shows two tracebacks, with the sentence at their end; this is how it
    hands on the errors of a process of its own."""

    def __init__(self, sentence: str) -> None:
        alone = SerializableErrorInfo(message=sentence, stack=[], cls_name=type(self).__name__)
        super().__init__(  # type: ignore[no-untyped-call]
            sentence, user_code_process_error_infos=[alone]
        )


def in_one_sentence(evaluate: Evaluate) -> Evaluate:
    """The same function of a schedule or a sensor; raises FailedTick where that raises one of our
    own errors, such as for a source that is not there."""

    @wraps(evaluate)
    def evaluated(*args: Any, **kwargs: Any) -> Any:
        try:
            return evaluate(*args, **kwargs)
        except CloneError as error:
            raise FailedTick(error.message) from None

    return evaluated  # type: ignore[return-value]


def policy_tags(
    policy: str, kind: str, target: str, organization_id: str | None = None, ahead: int = 0
) -> dict[str, str]:
    """Of the organization that the clone is for; None where that is not known before the run
    begins: such runs share the slots of one."""
    named = {POLICY_TAG: policy, KIND_TAG: kind, "clone/target_namespace": target}
    return named | queue_tags(organization_id or "policies", target, ahead)


def queue_tags(organization_id: str, target: str, ahead: int = 0) -> dict[str, str]:
    """What the queue acts on (`dagster.yaml`): whose clone it is, which one, and after how many of
    the same organization it was asked for. Somebody else's first one comes before those."""
    tags = {ORGANIZATION_TAG: organization_id, "clone/target": f"{organization_id}/{target}"}
    if ahead:
        tags[PRIORITY_TAG] = str(-min(ahead, _MOST_AHEAD))
    return tags


def runs_ahead(instance: dg.DagsterInstance, organization_id: str | None) -> int:
    """How many runs of an organization wait or are at work."""
    if organization_id is None:
        return 0
    tags = {ORGANIZATION_TAG: organization_id}
    return instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=UNDER_WAY))


def run_under_way(instance: dg.DagsterInstance, policy: str) -> str | None:
    """The id of a run of that policy that has not ended."""
    mine = dg.RunsFilter(tags={POLICY_TAG: policy}, statuses=UNDER_WAY)
    return next((run.run_id for run in instance.get_runs(mine, limit=1)), None)


def policy_of_run(
    context: dg.OpExecutionContext, request: CloneRequest, settings: Settings
) -> str | None:
    """The policy that a run is for. Anybody may set the tag: it makes a backup only where the
    policies file asks for this very clone. On a refresh it gives no right, only a hold."""
    claimed: str | None = context.run.tags.get(POLICY_TAG)
    if claimed is None or request.if_exists == "replace":
        return claimed
    backups = read_policies(settings.policies).backups
    if any(policy.name == claimed and policy.asks_for(request) for policy in backups):
        return claimed
    context.log.warning(
        f"The tag {POLICY_TAG} says {claimed!r}, but the policies file has no backup policy of "
        "that name that asks for this clone, so it counts as no backup of that policy."
    )
    return None


def policy_of_archive(
    context: dg.OpExecutionContext, source: str, address: str, settings: Settings
) -> str | None:
    """As `policy_of_run`, of a run that writes an archive."""
    claimed: str | None = context.run.tags.get(POLICY_TAG)
    if claimed is None:
        return None
    backups = read_policies(settings.policies).backups
    if any(
        policy.name == claimed and policy.asks_for_archive(source, address) for policy in backups
    ):
        return claimed
    context.log.warning(
        f"The tag {POLICY_TAG} says {claimed!r}, but the policies file has no backup policy of "
        "that name that asks for this archive, so it counts as no backup of that policy."
    )
    return None


@contextmanager
def looking(
    settings: Settings, environment: str | None = None
) -> Iterator[tuple[Stores, Principal]]:
    """The stores of an environment, for a tick; None is the own one. Raises NotFound where there is
    no catalog yet: none is made."""
    own = environment is None
    if own and settings.embedded_catalog and not settings.catalog_file.exists():
        raise NotFound(f"There is no namespace yet: {settings.catalog_file} does not exist.")
    stores = open_stores(settings, environment=environment)
    try:
        yield stores, find_principal(settings, stores)
    finally:
        stores.close()


def targets(policies: Policies) -> list[str | None]:
    """The environments that policies write into, the own one (None) first."""
    backups = [policy.target_environment for policy in policies.backups]
    refreshes = [policy.target_environment for policy in policies.refreshes]
    return list(dict.fromkeys([None, *backups, *refreshes]))


def target_of_run(run: dg.DagsterRun) -> str | None:
    """The environment that a run writes into."""
    named = (run.run_config.get(key) for key in ("target_environment", "environment"))
    return next((name for name in named if isinstance(name, str) and name), None)


def resolve_request(stores: Stores, principal: Principal, request: dict[str, Any]) -> Parties:
    """The namespaces that a request means. Raises what a run of it would be refused for."""
    require_writer(principal)
    asked = parse_request(request)
    with reading_for(stores, asked) as snapshots:
        return resolve_parties(snapshots, asked, principal)


def resolve_archived(stores: Stores, principal: Principal, config: dict[str, Any]) -> Namespace:
    """The namespace that a run is to archive. Raises what a run would be refused for, as far as the
    catalog tells."""
    require_writer(principal)
    where = config["source_organization_id"]
    with stores.catalog.read() as connection:
        return resolve_source(connection, config["namespace_identifier"], where, principal)


def refusal(
    settings: Settings,
    asked: dict[str, Any],
    resolve: Callable[[Stores, Principal, dict[str, Any]], Parties | Namespace] = resolve_request,
) -> str | None:
    """Raises the sentence that a run would be refused with; else the organization that it is for.
    A catalog that cannot be reached now is no reason, because a run waits for it: None."""
    try:
        with looking(settings, asked.get("target_environment")) as (stores, principal):
            return resolve(stores, principal, asked).organization_id
    except WorkError:
        return None
