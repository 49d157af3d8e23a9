"""The clones that there are, as assets: only a declared one has plots on its page."""

import logging

import dagster as dg

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.namespaces import list_clones
from clone_pipeline.core.errors import CloneError
from clone_pipeline.settings import Settings

_MOST = 1000  # the newest; a page with more is of no use to anybody


def clone_key(organization_id: str, name: str) -> dg.AssetKey:
    return dg.AssetKey(["clone", organization_id, name])


def clone_assets(settings: Settings) -> list[dg.AssetSpec]:
    """One asset for each published clone, as the catalog is when Dagster loads (or reloads) this.

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
    return [
        dg.AssetSpec(
            clone_key(clone["organization_id"], clone["namespace_name"]),
            group_name="clones",
            description=f"Clone of the namespace {clone['source_namespace_id']}, made by the job "
            "`clone_namespace`.",
            metadata={
                "namespace_id": clone["namespace_id"],
                "source_namespace_id": clone["source_namespace_id"],
            },
        )
        for clone in clones
    ]
