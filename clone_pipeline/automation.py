"""Shared by schedules and sensors: what a policy's run carries, and how stores are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from clone_pipeline.core.errors import NotFound, WorkError
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.resolve import Parties, require_writer, resolve_parties
from clone_pipeline.core.stores import Stores
from clone_pipeline.deployment import find_principal, open_stores
from clone_pipeline.settings import Settings

POLICY_TAG = "clone/policy"
KIND_TAG = "clone/policy_kind"
CAUSE_TAG = "clone/cause"
ATTEMPT_TAG = "clone/attempt"
RESTORE_TEST_TAG = "clone/restore_test"

DISABLED = "The policy says `enabled: false`."

_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNDER_WAY = [status for status in dg.DagsterRunStatus if status not in _ENDED]


def policy_tags(policy: str, kind: str, target: str) -> dict[str, str]:
    """`clone/target_namespace` is what the queue's limit acts on."""
    return {POLICY_TAG: policy, KIND_TAG: kind, "clone/target_namespace": target}


def run_under_way(instance: dg.DagsterInstance, policy: str) -> str | None:
    """The id of a run of that policy that has not ended."""
    mine = dg.RunsFilter(tags={POLICY_TAG: policy}, statuses=UNDER_WAY)
    return next((run.run_id for run in instance.get_runs(mine, limit=1)), None)


@contextmanager
def looking(settings: Settings) -> Iterator[tuple[Stores, Principal]]:
    """The stores, for a tick. Raises NotFound where there is no catalog yet: none is made."""
    if settings.embedded_catalog and not settings.catalog_file.exists():
        raise NotFound(f"There is no namespace yet: {settings.catalog_file} does not exist.")
    stores = open_stores(settings)
    try:
        yield stores, find_principal(settings, stores)
    finally:
        stores.catalog.close()


def resolve_request(stores: Stores, principal: Principal, request: dict[str, Any]) -> Parties:
    """The namespaces that a request means. Raises what a run of it would be refused for."""
    require_writer(principal)
    with stores.catalog.read() as connection:
        return resolve_parties(connection, parse_request(request), principal)


def refusal(settings: Settings, request: dict[str, Any]) -> None:
    """Raises the sentence that a run would be refused with. A catalog that cannot be reached now
    is no reason: a run waits for it."""
    try:
        with looking(settings) as (stores, principal):
            resolve_request(stores, principal, request)
    except WorkError:
        return
