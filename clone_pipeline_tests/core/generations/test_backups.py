"""What counts as a backup of a policy: a proven copy of the same source, and not an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import namespaces, objects
from clone_pipeline.core.errors import NotFound
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule, SweepReport, plan_sweep, run_sweep
from clone_pipeline.core.generations.templates import create_template
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.restore_test import choose_backup
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.sources import Files


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    with harness.holding(tmp_path, prod(), catalog_url=catalog_url) as stores:
        yield stores


def prod(namespace_id: str = "ns_prod000001") -> Files:
    files = sample()
    files["namespace.json"] |= {
        "namespace_id": namespace_id,
        "infrastructure": {"qdrant_collection": f"{namespace_id}_store"},
    }
    return files


def is_gone(stores: Stores) -> None:
    """The platform deletes `prod`."""
    with stores.catalog.write() as connection:
        connection.execute(delete(namespaces).where(namespaces.c.namespace_name == "prod"))


def loses_its_points(stores: Stores) -> list[Any]:
    """Of `prod`; what it had."""
    with stores.catalog.read() as connection:
        collection = catalog.resolve(connection, None, "prod").qdrant_collection
    with stores.vectors() as vectors:
        points = list(vectors.scroll(collection, 1000).points)
        config = vectors.read_config(collection)
        vectors.delete(collection)
        vectors.create(collection, config)
    return points


def back_up(stores: Stores, name: str, source: str = "prod", **options: Any) -> Clone:
    kept = {"policy": "nightly", "preserve_resource_ids": True, **options}
    return harness.clone(stores, source, name, **kept)


def swept(stores: Stores, source: str = "prod") -> SweepReport:
    """By a policy that keeps the last backup of the source alone."""
    policies = {"nightly": BackupRule(Keep(last=1), timezone.utc, source)}
    return run_sweep(stores, None, policies, plan_sweep(stores, None, policies))


def names(report: SweepReport) -> list[str]:
    return sorted(one.name for entry in report.removed for one in entry.generations)


def why(report: SweepReport, name: str) -> str:
    [found] = [entry.why for entry in report.kept if entry.generations[0].name == name]
    return found


def newest(stores: Stores) -> str:
    with stores.catalog.read() as connection:
        return choose_backup(connection, None, "nightly", stores.clock()).name


# ---- whose backup ----------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["prod", "ns_prod000001"])
def test_a_template_is_not_cloned_in_place_of_its_namespace_that_is_gone(
    stores: Stores, said: str
) -> None:
    back_up(stores, "monday", said)
    values = {"template_name": "t", "description": "", "category": None, "tags": []}
    template = create_template(stores, LOCAL_OPERATOR, "prod", values)
    is_gone(stores)
    with pytest.raises(NotFound, match=f"There is no namespace '{said}' to clone"):
        back_up(stores, "tuesday", said)
    # Asked for as one, it is.
    assert harness.clone(stores, template["template_id"], "fresh").status == "ready"
    assert names(swept(stores)) == []


@pytest.mark.outside
def test_a_backup_makes_way_for_one_of_the_same_namespace_and_not_of_a_namesake(
    stores: Stores, tmp_path: Path
) -> None:
    back_up(stores, "monday")
    back_up(stores, "tuesday")
    is_gone(stores)
    assert names(swept(stores)) == []
    harness.load(stores, prod("ns_other00001"))
    back_up(stores, "wednesday")
    assert newest(stores) == "wednesday"
    back_up(stores, "thursday")
    report = swept(stores)
    assert names(report) == ["wednesday"]
    assert why(report, "tuesday") == (
        "a backup of nightly, of ns_prod000001, which is not the policy's source any more"
    )


def test_backups_stay_when_their_source_is_gone(stores: Stores) -> None:
    back_up(stores, "monday")
    back_up(stores, "tuesday")
    is_gone(stores)
    report = swept(stores)
    assert names(report) == []
    assert why(report, "monday") == "a backup of nightly, whose source is not there"


@pytest.mark.outside
def test_a_policy_that_names_another_source_leaves_the_backups_of_the_old_one_alone(
    stores: Stores,
) -> None:
    back_up(stores, "monday")
    back_up(stores, "tuesday")
    harness.clone(stores, "prod", "staging")
    back_up(stores, "wednesday", "staging")
    back_up(stores, "thursday", "staging")
    assert names(swept(stores, source="staging")) == ["wednesday"]


@pytest.mark.outside
def test_a_source_that_was_replaced_is_the_same_source(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging", if_exists="replace")
    back_up(stores, "monday", "staging")
    harness.clone(stores, "prod", "staging", if_exists="replace")
    back_up(stores, "tuesday", "staging")
    assert names(swept(stores, source="staging")) == ["monday"]


def test_a_clone_with_other_ids_is_no_backup(stores: Stores) -> None:
    back_up(stores, "monday")
    back_up(stores, "tuesday", preserve_resource_ids=False)
    assert names(swept(stores)) == []
    assert newest(stores) == "monday"


# ---- what is in it ---------------------------------------------------------------------------


@pytest.mark.outside
def test_an_empty_backup_takes_the_place_of_none_that_has_points(stores: Stores) -> None:
    back_up(stores, "monday")
    points = loses_its_points(stores)
    assert back_up(stores, "tuesday").response["cloned_resources"]["points"] == 0
    report = swept(stores)
    assert names(report) == []
    assert why(report, "tuesday") == (
        "a backup of nightly: it is empty, and takes the place of none that is not"
    )
    assert newest(stores) == "monday"
    with stores.vectors() as vectors:
        vectors.upsert("ns_prod000001_store", points)
    back_up(stores, "wednesday")
    assert newest(stores) == "wednesday"
    assert names(swept(stores)) == ["monday", "tuesday"]


def test_a_backup_without_records_takes_the_place_of_none_that_has_objects(
    stores: Stores,
) -> None:
    loses_its_points(stores)
    back_up(stores, "monday")
    with stores.catalog.write() as connection:
        connection.execute(delete(objects).where(objects.c.namespace_key == 1))
    back_up(stores, "tuesday")
    assert names(swept(stores)) == []
    assert newest(stores) == "monday"


def test_a_source_that_never_had_anything_is_backed_up_like_any_other(stores: Stores) -> None:
    loses_its_points(stores)
    back_up(stores, "monday")
    back_up(stores, "tuesday")
    assert names(swept(stores)) == ["monday"]
