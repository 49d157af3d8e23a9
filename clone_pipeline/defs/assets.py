"""The clones that there are, as assets: only a declared one has plots and checks on its page.

Source, clone, backup and what was restored of it are joined, as one is made of the other.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import RowMapping

from clone_pipeline.core.catalog.namespaces import list_clones, list_deleted_clones
from clone_pipeline.core.catalog.sources import Source, Sources
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger.clones import BACKUP
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import DEFAULT_ENVIRONMENT
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.automation import looking, targets
from clone_pipeline.policies import BackupPolicy, Policies, RefreshPolicy
from clone_pipeline.policies.intervals import expected_interval
from clone_pipeline.settings import Settings

Policy = BackupPolicy | RefreshPolicy

BACKUPS, CLONES, DELETED, SOURCES = "backups", "clones", "deleted", "sources"
# The newest that no policy has made, and the last ones to go: a page with more is of no use to
# anybody, and loading it takes time for each.
_MOST_CLONES, _MOST_DELETED = 250, 100
# Deleted backups that a policy's description names; its metadata has them all.
_MOST_NAMED = 5


def clone_key(organization_id: str, name: str, environment: str | None = None) -> dg.AssetKey:
    """Of a clone in another environment than the own one (None) with that, too."""
    where = [] if environment in (None, DEFAULT_ENVIRONMENT) else [environment]
    return dg.AssetKey(["clone", *filter(None, where), organization_id, name])


def backups_of(key: dg.AssetKey) -> dg.DynamicPartitionsDefinition:
    """The list of backups, by name, of the asset of a backup policy."""
    return dg.DynamicPartitionsDefinition(name=key.to_user_string())


def source_key(organization_id: str, name: str) -> dg.AssetKey:
    """Of a namespace that is no clone."""
    return dg.AssetKey(["namespace", organization_id, name])


def clone_assets(settings: Settings, policies: Policies) -> list[dg.AssetSpec]:
    """One asset for each policy, one for each other published clone, one for each that is deleted,
    and one for each source, as the catalog is when Dagster loads (or reloads) this.

    None where the catalog is not there yet or cannot be read: a run would say why, loading the
    job must not fail for it.
    """
    if settings.embedded_catalog and not settings.catalog_file.exists():
        return []
    try:
        there, gone = _recorded(settings)
        recorded = [*map(_asset, there), *map(_deleted_asset, gone)]
        assets = [*_policy_assets(settings, policies), *recorded]
    except CloneError as error:
        logging.getLogger(__name__).warning("The clones are not shown: %s", error.message)
        return []
    found: dict[dg.AssetKey, dg.AssetSpec] = {}
    for asset in assets:
        found.setdefault(asset.key, asset)
    names = {(clone["organization_id"], clone["namespace_name"]) for clone in there}
    _mark_deleted_backups(
        found,
        [one for one in gone if (one["organization_id"], one["namespace_name"]) not in names],
    )
    return _joined(found)


def _joined(assets: dict[dg.AssetKey, dg.AssetSpec]) -> list[dg.AssetSpec]:
    """With the sources that are no clones, and without circles: a namespace that was restored from
    its own backup would be made of itself, and Dagster would load nothing."""
    made_of: dict[dg.AssetKey, dg.AssetKey] = {}
    for asset in assets.values():
        for source in (dependency.asset_key for dependency in asset.deps):
            if not _leads_to(made_of, source, asset.key):
                made_of[asset.key] = source
    joined = [
        asset if key in made_of or not asset.deps else asset.replace_attributes(deps=[])
        for key, asset in assets.items()
    ]
    others = {source: None for source in made_of.values() if source not in assets}
    return [*joined, *(_source_asset(key) for key in others)]


def _leads_to(
    made_of: dict[dg.AssetKey, dg.AssetKey], start: dg.AssetKey, end: dg.AssetKey
) -> bool:
    at: dg.AssetKey | None = start
    while at is not None and at != end:
        at = made_of.get(at)
    return at == end


def _source_asset(key: dg.AssetKey) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        group_name=SOURCES,
        description=f"The namespace {key.path[-1]}, as others made it; here it is only read.",
    )


def _policy_assets(settings: Settings, policies: Policies) -> Iterator[dg.AssetSpec]:
    """Also before the first run of a policy. What a run of it would be refused for is told by its
    schedule or sensor."""
    for environment in targets(policies):
        mine = [one for one in _all(policies) if one.target_environment == environment]
        try:
            with looking(settings, environment) as (stores, principal):
                if principal.may_write():
                    yield from _policy_assets_in(stores, principal, mine)
        except CloneError as error:
            if environment is None:
                raise
            logging.getLogger(__name__).warning(
                "The policies that write into %s are not shown: %s", environment, error.message
            )


def _policy_assets_in(
    stores: Stores, principal: Principal, policies: list[Policy]
) -> Iterator[dg.AssetSpec]:
    """Of policies that all write into these stores."""
    now = stores.clock()
    environment = None if stores.environment == DEFAULT_ENVIRONMENT else stores.environment
    for read_in in dict.fromkeys(policy.source_environment for policy in policies):
        mine = [policy for policy in policies if policy.source_environment == read_in]
        try:
            where = stores.source(read_in or DEFAULT_ENVIRONMENT)
            # All at once: thousands of looks would take longer than Dagster waits.
            with where.catalog.read() as connection:
                sources = Sources(connection, {policy.source for policy in mine})
        except CloneError:  # also where it is away
            continue
        readers = [principal, *(() if where.reader is None else (where.reader,))]
        for policy in mine:
            source = _source_of(policy, sources, readers)
            if source is not None:
                made_of = _key_of_source(source, read_in)
                yield _policy_asset(policy, source, made_of, principal, environment, now)


def _source_of(policy: Policy, sources: Sources, readers: Sequence[Principal]) -> Source | None:
    """What the policy reads, where it is there and may be read."""
    asked: Any = policy.options
    given = [asked.source_organization_id, *(reader.organization_id for reader in readers)]
    organization_id = next((one for one in given if one is not None), None)
    if not all(reader.may_read(organization_id) for reader in readers):
        return None
    return sources.find(organization_id, policy.source)


def _key_of_source(source: Source, environment: str | None) -> dg.AssetKey:
    """One of another environment is only a source here."""
    if environment is not None:
        return dg.AssetKey(["namespace", environment, source.organization_id, source.name])
    if not source.is_clone:
        return source_key(source.organization_id, source.name)
    policy = source.policy if source.purpose == BACKUP else None
    return clone_key(source.organization_id, policy or source.name)


def _policy_asset(
    policy: Policy,
    source: Source,
    made_of: dg.AssetKey,
    principal: Principal,
    environment: str | None,
    now: datetime,
) -> dg.AssetSpec:
    if isinstance(policy, BackupPolicy):
        name, group, what = policy.name, BACKUPS, "Backups"
    else:
        name, group, what = policy.target, CLONES, f"Copy, called {policy.target},"
    shown = {"report": _report(policy.name, "--policy")}
    job = "clone_namespace"
    organization_id = policy.organization_id or principal.organization_id or source.organization_id
    if isinstance(policy, BackupPolicy) and policy.to is not None:
        # An archive belongs to whom the source belongs to.
        job, organization_id = "archive_namespace", source.organization_id
        shown["archives"] = "clone-pipeline list --archives"
    key = clone_key(organization_id, name, environment)
    return dg.AssetSpec(
        key,
        deps=[made_of],
        group_name=group,
        description=f"{what} of the namespace {policy.source}, for the policy "
        f"`{policy.name}`, made by the job `{job}`.",
        metadata={"policy": policy.name, "source": policy.source, **shown},
        owners=policy.owners,
        partitions_def=backups_of(key) if group == BACKUPS else None,
        freshness_policy=_freshness(policy, now) if policy.enabled else None,
    )


def _all(policies: Policies) -> Iterator[Policy]:
    yield from policies.backups
    yield from policies.refreshes


def _freshness(policy: Policy, now: datetime) -> dg.FreshnessPolicy | None:
    """Two missed turns in a row are a failure, one is a warning."""
    turn = expected_interval(policy, now)
    if turn is None:
        return None
    turn = max(turn, timedelta(minutes=1))
    return dg.FreshnessPolicy.time_window(fail_window=2 * turn, warn_window=1.25 * turn)


def _recorded(settings: Settings) -> tuple[list[RowMapping], list[RowMapping]]:
    """The clones that there are, and those that are deleted."""
    with looking(settings) as (stores, _), stores.catalog.read() as connection:
        return list_clones(connection, _MOST_CLONES), list_deleted_clones(connection, _MOST_DELETED)


def _asset(clone: RowMapping) -> dg.AssetSpec:
    """Of a clone, or of the backup policy that it was made for: its newest backup."""
    source = clone["source_namespace_id"]
    policy = _backup_policy(clone)
    what = (
        f"Backups of the namespace {source} for the policy `{policy}`"
        if policy
        else (f"Clone of the namespace {source}")
    )
    key = clone_key(clone["organization_id"], policy or clone["namespace_name"])
    return dg.AssetSpec(
        key,
        deps=[_made_of(clone)],
        partitions_def=backups_of(key) if policy else None,
        group_name=BACKUPS if policy else CLONES,
        description=f"{what}, made by the job `clone_namespace`.",
        metadata={
            "namespace_id": clone["namespace_id"],
            "source_namespace_id": source,
            "report": (_report(policy, "--policy") if policy else _report(clone["namespace_name"])),
        },
    )


def _report(name: str, *options: str) -> str:
    """The command that writes the page about it."""
    file = f"{''.join(one if one.isalnum() else '_' for one in name)}.html"
    return shlex.join(["clone-pipeline", "report", *options, "-o", file, "--", name])


def _made_of(clone: RowMapping) -> dg.AssetKey:
    organization_id, name = clone["source_organization_id"], clone["source_name"]
    if name is None:  # it is not there any more
        return source_key(clone["organization_id"], clone["source_namespace_id"])
    if clone["source_clone_id"] is None:
        return source_key(organization_id, name)
    return clone_key(organization_id, _backup_policy(clone, "source_") or name)


def _backup_policy(clone: RowMapping, prefix: str = "") -> str | None:
    is_backup = clone[f"{prefix}purpose"] == BACKUP
    return clone[f"{prefix}policy"] if is_backup else None


def _deleted_asset(clone: RowMapping) -> dg.AssetSpec:
    """Of the clones of that name, the last one to go: what its page shows is history."""
    gone = _minute(clone)
    return dg.AssetSpec(
        _key_of_deleted(clone),
        group_name=DELETED,
        description=f"Deleted at {gone}: {clone['namespace_name']}, a clone of the namespace "
        f"{clone['source_namespace_id']}. What is shown here is its history.",
        tags={"clone/status": "deleted"},
        metadata={"deleted_at": gone, "source_namespace_id": clone["source_namespace_id"]},
    )


def _mark_deleted_backups(assets: dict[dg.AssetKey, dg.AssetSpec], gone: list[RowMapping]) -> None:
    """The asset of a policy stands for all its backups: it says which of them are not there any
    more, though its plots still have them."""
    deleted: dict[dg.AssetKey, list[str]] = {}
    for clone in gone:
        if _backup_policy(clone) is not None:
            said = f"{clone['namespace_name']}, deleted at {_minute(clone)}"
            deleted.setdefault(_key_of_deleted(clone), []).append(said)
    for key, backups in deleted.items():
        asset = assets[key]
        if asset.group_name == DELETED:
            continue  # it says itself that nothing is left
        said = "; ".join(backups[:_MOST_NAMED])
        if len(backups) > _MOST_NAMED:
            said += f"; and {len(backups) - _MOST_NAMED} before"
        assets[key] = asset.replace_attributes(
            description=f"{asset.description} Not there any more, and history in what is shown "
            f"here: {said}.",
            tags={**asset.tags, "clone/backups": "some_deleted"},
            metadata={**asset.metadata, "deleted_backups": backups},
        )


def _key_of_deleted(clone: RowMapping) -> dg.AssetKey:
    policy = _backup_policy(clone)
    return clone_key(clone["organization_id"], policy or clone["namespace_name"])


def _minute(clone: RowMapping) -> str:
    return f"{clone['updated_at']:%Y-%m-%d %H:%M} UTC"
