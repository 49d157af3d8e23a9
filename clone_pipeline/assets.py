"""The clones that there are, as assets: only a declared one has plots and checks on its page."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise

import dagster as dg
from sqlalchemy import RowMapping

from clone_pipeline.automation import looking, resolve_request
from clone_pipeline.core.catalog.namespaces import list_clones
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import backup_policy
from clone_pipeline.policies import BackupPolicy, Policies, RefreshPolicy
from clone_pipeline.settings import Settings

_MOST = 1000  # the newest; a page with more is of no use to anybody
# Ticks that are looked at for the longest time between two.
_TICKS = 100


def clone_key(organization_id: str, name: str) -> dg.AssetKey:
    return dg.AssetKey(["clone", organization_id, name])


def clone_assets(settings: Settings, policies: Policies) -> list[dg.AssetSpec]:
    """One asset for each policy, and one for each other published clone, as the catalog is when
    Dagster loads (or reloads) this.

    None where the catalog is not there yet or cannot be read: a run would say why, loading the
    job must not fail for it.
    """
    if settings.embedded_catalog and not settings.catalog_file.exists():
        return []
    try:
        assets = [*_policy_assets(settings, policies), *_published(settings)]
    except CloneError as error:
        logging.getLogger(__name__).warning("The clones are not shown: %s", error.message)
        return []
    found: dict[dg.AssetKey, dg.AssetSpec] = {}
    for asset in assets:
        found.setdefault(asset.key, asset)
    return list(found.values())


def _policy_assets(settings: Settings, policies: Policies) -> Iterator[dg.AssetSpec]:
    """Also before the first run of a policy. What a run of it would be refused for is told by its
    schedule or sensor."""
    with looking(settings) as (stores, principal):
        now = stores.clock()
        for policy in _all(policies):
            if isinstance(policy, BackupPolicy):
                name, group, what = policy.name, "backups", "Backups"
                request = policy.request(policy.clone_name(now))
            else:
                name, group, what = policy.target, "clones", f"Copy, called {policy.target},"
                request = policy.request()
            try:
                parties = resolve_request(stores, principal, request)
            except CloneError:
                continue
            yield dg.AssetSpec(
                clone_key(parties.organization_id, name),
                group_name=group,
                description=f"{what} of the namespace {policy.source}, for the policy "
                f"`{policy.name}`, made by the job `clone_namespace`.",
                metadata={"policy": policy.name, "source": policy.source},
                owners=policy.owners,
                freshness_policy=_freshness(policy, now) if policy.enabled else None,
            )


def _all(policies: Policies) -> Iterator[BackupPolicy | RefreshPolicy]:
    yield from policies.backups
    yield from policies.refreshes


def _freshness(policy: BackupPolicy | RefreshPolicy, now: datetime) -> dg.FreshnessPolicy | None:
    """Two missed turns in a row are a failure, one is a warning."""
    if isinstance(policy, RefreshPolicy) and policy.max_age_seconds is not None:
        turn = timedelta(seconds=policy.max_age_seconds)
    elif policy.cron is not None:
        turn = _longest_turn(policy.cron, policy.timezone, now)
    else:
        return None  # a refresh that waits for a change, however long that takes
    turn = max(turn, timedelta(minutes=1))
    return dg.FreshnessPolicy.time_window(fail_window=2 * turn, warn_window=1.25 * turn)


def _longest_turn(cron: str, timezone: str, now: datetime) -> timedelta:
    from dagster._utils.schedules import schedule_execution_time_iterator

    every = schedule_execution_time_iterator(now.timestamp(), cron, timezone)
    ticks = islice(every, _TICKS)
    return max(later - earlier for earlier, later in pairwise(ticks))


def _published(settings: Settings) -> Iterator[dg.AssetSpec]:
    with looking(settings) as (stores, _), stores.catalog.read() as connection:
        yield from map(_asset, list_clones(connection, _MOST))


def _asset(clone: RowMapping) -> dg.AssetSpec:
    """Of a clone, or of the backup policy that it was made for: its newest backup."""
    source = clone["source_namespace_id"]
    policy = backup_policy(clone["policy"], clone["request"])
    what = (
        f"Backups of the namespace {source} for the policy `{policy}`"
        if policy
        else (f"Clone of the namespace {source}")
    )
    return dg.AssetSpec(
        clone_key(clone["organization_id"], policy or clone["namespace_name"]),
        group_name="backups" if policy else "clones",
        description=f"{what}, made by the job `clone_namespace`.",
        metadata={"namespace_id": clone["namespace_id"], "source_namespace_id": source},
    )
