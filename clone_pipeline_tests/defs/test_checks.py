"""Asset checks of clones and backups: said by the runs themselves, and again from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.restore_test import RestoreTest
from clone_pipeline.defs.assets import clone_assets, clone_key
from clone_pipeline.defs.checks import EQUAL, RESTORED, clone_checks
from clone_pipeline.defs.resources import StoresResource
from clone_pipeline.defs.schedules import check_schedule
from clone_pipeline.launch import clone_job
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.harness import clone, open_stores
from clone_pipeline_tests.policies.files import backup, refresh, written

NIGHTLY = clone_key("org_acme", "nightly")
BACKUP: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    return written(tmp_path, backups=[backup()])


def looked_up(policies: Policies) -> dict[tuple[str, str], tuple[bool, str]]:
    """By asset and check: whether it passed, and the sentence."""
    assets = clone_assets(load_settings(), policies)
    checks = clone_checks(assets, policies)
    assert checks is not None
    schedule = check_schedule(checks)
    defs = dg.Definitions(
        assets=assets,
        asset_checks=[checks],
        schedules=[schedule],
        resources={"stores": StoresResource()},
    )
    dg.Definitions.validate_loadable(defs)
    result = defs.resolve_job_def("check_clones").execute_in_process()
    return {
        (one.asset_key.path[-1], one.check_name): (one.passed, _sentence(one))
        for one in result.get_asset_check_evaluations()
    }


def _sentence(evaluation: dg.AssetCheckEvaluation) -> str:
    return str(evaluation.metadata["sentence"].value)


@pytest.fixture
def tested(home: Path) -> Iterator[Any]:
    """Keeps the result of a restore test of a backup that is made for it."""
    with open_stores(home) as stores:
        made = clone(stores, "prod", "monday", **BACKUP)

        def keep(good: bool, ago: timedelta) -> None:
            result = RestoreTest(
                backup="monday",
                clone_id=made.clone_id,
                organization_id="org_acme",
                policy="nightly",
                tested_at=datetime.now(timezone.utc) - ago,
                good=good,
                sentence="So it was.",
            )
            with stores.catalog.write() as connection:
                ledger.keep_restore_test(connection, made.clone_id, result.to_json())

        yield keep


def test_a_clone_that_was_proven_in_full_equals_its_source(home: Path) -> None:
    with open_stores(home) as stores:
        clone(stores, "prod", "whole")
        clone(stores, "prod", "hasty", verify="counts")
    found = looked_up(Policies())
    assert found["whole", EQUAL][0]
    assert found["hasty", EQUAL] == (
        False,
        "Only counts was compared with the source; `verify: full` proves it all.",
    )


def test_a_name_may_have_anything_in_it_and_differ_by_a_hyphen(home: Path, tmp_path: Path) -> None:
    """One such name must not take the whole code location down."""
    odd = ["a b", "a/b", "a[0]", "a*b", "ä", "'\"", "a-b", "a_b", "a.b", "日本"]
    with open_stores(home) as stores:
        for name in odd:
            clone(stores, "prod", name)
    policies = written(tmp_path, refreshes=[refresh(target="not/yet there")])
    found = looked_up(policies)
    assert all(found[name, EQUAL][0] for name in odd)
    assert not found["not/yet there", EQUAL][0]


@pytest.mark.parametrize(
    ("good", "days", "passed", "sentence"),
    [
        (True, 7, True, "So it was."),
        (True, 9, False, "more than 8 days ago"),
        (False, 1, False, "So it was."),
        (False, 9, False, "So it was."),
    ],
)
def test_a_policy_is_restore_tested_for_as_long_as_it_says(
    tested: Any, policies: Policies, good: bool, days: int, passed: bool, sentence: str
) -> None:
    tested(good, timedelta(days=days))
    found = looked_up(policies)["nightly", RESTORED]
    assert found[0] is passed
    assert sentence in found[1]


def test_a_newer_backup_that_is_not_tested_yet_changes_nothing(
    tested: Any, home: Path, policies: Policies
) -> None:
    tested(True, timedelta(days=2))
    with open_stores(home) as stores:
        clone(stores, "prod", "tuesday", **BACKUP)
    assert looked_up(policies)["nightly", RESTORED][0]


@pytest.mark.parametrize("good", [True, False])
def test_the_last_test_counts_also_when_its_backup_has_made_way(
    tested: Any, home: Path, policies: Policies, good: bool
) -> None:
    tested(good, timedelta(days=2))
    with open_stores(home) as stores:
        clone(stores, "prod", "tuesday", **BACKUP)
        delete_clone(stores, "org_acme", "monday")
    assert looked_up(policies)["nightly", RESTORED] == (good, "So it was.")


def test_a_policy_without_a_test_is_told(home: Path, policies: Policies) -> None:
    found = looked_up(policies)
    assert found["nightly", RESTORED] == (False, "No backup has been restored for a test yet.")
    assert found["nightly", EQUAL] == (False, "There is no such clone any more.")


def test_without_anything_to_check_there_is_no_job_for_it(home: Path) -> None:
    assert clone_checks([], Policies()) is None


def test_a_policy_that_is_not_tested_has_no_such_check(home: Path, tmp_path: Path) -> None:
    untested = written(tmp_path, backups=[backup(restore_test=None)])
    assert {name for asset, name in looked_up(untested) if asset == "nightly"} == {EQUAL}


def test_the_run_of_a_clone_says_it_on_its_assets_page(home: Path) -> None:
    request = {"namespace_identifier": "prod", "namespace_name": "new"}
    result = clone_job().execute_in_process(run_config=request)
    (said,) = result.get_asset_check_evaluations()
    assert (said.asset_key, said.check_name) == (clone_key("org_acme", "new"), EQUAL)
    assert said.passed


def test_the_run_of_a_restore_test_says_it_on_its_assets_page(home: Path) -> None:
    from clone_pipeline.definitions import defs

    with open_stores(home) as stores:
        clone(stores, "prod", "monday", **BACKUP)
    job = defs.resolve_job_def("test_restore")
    with dg.instance_for_test() as instance:
        result = job.execute_in_process(run_config={"backup": "nightly"}, instance=instance)
        (said,) = result.get_asset_check_evaluations()
    assert (said.asset_key, said.check_name, said.passed) == (NIGHTLY, RESTORED, True)
    assert said.metadata["backup"].value == "monday"


def test_a_bad_backup_fails_the_run_with_its_sentence(home: Path) -> None:
    from clone_pipeline.definitions import defs

    with open_stores(home) as stores:
        made = clone(stores, "prod", "monday", **BACKUP)
        with stores.vectors() as vectors:
            first = vectors.scroll(made.qdrant_collection, 1).points[0]
            vectors.delete_points(made.qdrant_collection, [first.id])
    job = defs.resolve_job_def("test_restore")
    with dg.instance_for_test() as instance:
        result = job.execute_in_process(
            run_config={"backup": "monday"}, instance=instance, raise_on_error=False
        )
        assert not result.success
        (said,) = result.get_asset_check_evaluations()
        error = result.failure_data_for_node("try_restore").user_failure_data
    assert not said.passed
    assert "monday is not what was published" in error.description


def test_a_backup_that_is_not_there_is_one_sentence(home: Path) -> None:
    from clone_pipeline.definitions import defs

    with open_stores(home) as stores:
        clone(stores, "prod", "new")
    job = defs.resolve_job_def("test_restore")
    result = job.execute_in_process(run_config={"backup": "monday"}, raise_on_error=False)
    error = result.failure_data_for_node("try_restore").user_failure_data
    assert (
        error.description == "There is no backup 'monday', and none of a policy of that name yet."
    )
