"""The clones that there are, as assets: only a declared one has plots on its page."""

import logging

import dagster as dg
from sqlalchemy import RowMapping

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.namespaces import list_clones
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import backup_policy
from clone_pipeline.settings import Settings

_MOST = 1000  # the newest; a page with more is of no use to anybody


def clone_key(organization_id: str, name: str) -> dg.AssetKey:
    return dg.AssetKey(["clone", organization_id, name])


def clone_assets(settings: Settings) -> list[dg.AssetSpec]:
    """One asset for each published clone, and one for all backups of a policy, as the catalog is
    when Dagster loads (or reloads) this.

    None where the catalog is not there yet or cannot be read: a run would say why, loading the
    job must not fail for it.
    """
    if settings.embedded_catalog and not settings.catalog_file.exists():
        return []
    try:
        catalog = Catalog.open(settings.catalog_address)
        try:
            with catalog.read() as connection:
                clones = list_clones(connection, _MOST)
        finally:
            catalog.close()
    except CloneError as error:
        logging.getLogger(__name__).warning("The clones are not shown: %s", error.message)
        return []
    found: dict[dg.AssetKey, dg.AssetSpec] = {}
    for clone in clones:
        asset = _asset(clone)
        found.setdefault(asset.key, asset)
    return list(found.values())


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
