"""For any namespace: loaded with new ids it is a clone of it, and its backup, loaded with the ids
that it has, is what `restore` makes of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from clone_pipeline.core.bundle import LoadReport, Target, archive
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import CLONE_STATE
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.stores import Stores

from .. import harness
from ..core.bundle.archive.making import InMemory
from ..core.bundle.samples import read_bundle
from .loaded import LONG_EXAMPLES, loaded, nothing
from .namespaces import Source, everything, namespaces
from .oracle import bundles_apart
from .world import NAMESPACE_ID, NAMESPACE_NAME

pytestmark = pytest.mark.outside

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}
# Of a load, its times are those of the bundle; a clone has its own.
_ITS_OWN = (*CLONE_STATE, "created_at", "updated_at", "clone_completed_at")


def archived(stores: Stores, name: str) -> InMemory:
    place = InMemory()
    with stores.catalog.read() as connection:
        key = catalog.resolve(connection, None, name).key
    with stores.vectors() as vectors:
        archive.dump_archive(stores, vectors, key, place, Meter(stores.clock))
    return place


def loaded_elsewhere(home: Path, place: InMemory, target: Target) -> tuple[Any, LoadReport]:
    """What an empty deployment has of it, and what was told."""
    folder = home / "elsewhere"
    folder.mkdir()
    with harness.open_stores(folder) as stores:
        with stores.vectors() as vectors:
            report = archive.load_archive(stores, vectors, place, target=target)
        return comparable(stores, report.namespace_name, folder / "out"), report


def comparable(stores: Stores, name: str, folder: Path) -> Any:
    files = read_bundle(harness.dump(stores, name, folder))
    namespace = files["namespace.json"]
    namespace["infrastructure"]["qdrant_collection"] = "its own"
    files["namespace.json"] = {
        key: value for key, value in namespace.items() if key not in _ITS_OWN
    }
    return files


def check_new_ids(stores: Stores, home: Path) -> None:
    clone = harness.clone(stores, NAMESPACE_NAME, "copy", include_resources=harness.everything())
    place = archived(stores, NAMESPACE_NAME)
    found, report = loaded_elsewhere(home, place, Target("copy", new_ids=True))
    nothing(bundles_apart(comparable(stores, "copy", home / "copy"), found), {})
    cleared = [one["path"] for one in report.references if one["outcome"] == "cleared"]
    planned = [one for one in clone.plan["references"] if one["outcome"] == "cleared"]
    assert sorted(cleared) == sorted(one["path"] for one in planned)


def check_restored(stores: Stores, home: Path) -> None:
    harness.clone(stores, NAMESPACE_NAME, "backup", **BACKUP)
    place = archived(stores, "backup")
    over = {"restore": True, "if_exists": "replace", "adopt": True}
    restored = harness.clone(stores, "backup", NAMESPACE_NAME, **BACKUP, **over)
    found, report = loaded_elsewhere(home, place, Target(NAMESPACE_NAME))
    assert report.namespace_id == NAMESPACE_ID
    nothing(bundles_apart(comparable(stores, NAMESPACE_NAME, home / "restored"), found), {})
    by_hand = {(one["resource_id"], one["removed"]) for one in report.by_hand}
    planned = {(one["resource_id"], one["removed"]) for one in restored.plan["by_hand"]}
    assert by_hand == planned


@settings(max_examples=5, derandomize=True, database=None, deadline=None)
@given(source=namespaces())
def test_with_new_ids_it_is_a_clone(source: Source) -> None:
    with loaded(source) as (stores, home):
        check_new_ids(stores, home)


@settings(max_examples=5, derandomize=True, database=None, deadline=None)
@given(source=namespaces())
def test_a_backup_is_restored(source: Source) -> None:
    with loaded(source) as (stores, home):
        check_restored(stores, home)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces())
def test_many_with_new_ids_are_clones(source: Source) -> None:
    with loaded(source) as (stores, home):
        check_new_ids(stores, home)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces())
def test_many_backups_are_restored(source: Source) -> None:
    with loaded(source) as (stores, home):
        check_restored(stores, home)


def test_a_namespace_of_all_that_there_is() -> None:
    with loaded(everything()) as (stores, home):
        check_new_ids(stores, home)
    with loaded(everything()) as (stores, home):
        check_restored(stores, home)
