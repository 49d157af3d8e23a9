"""Policies that write into another environment: each of their runs works there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.assets import clone_assets, clone_key
from clone_pipeline.defs.schedules import policy_schedules, sweep_schedule
from clone_pipeline.deployment import open_stores
from clone_pipeline.launch import clone_job
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.defs.conftest import instance, of_no_instance, quick_dagster, quiet
from clone_pipeline_tests.forks import ROOT
from clone_pipeline_tests.harness import holding, same_organizations
from clone_pipeline_tests.policies.files import backup, written
from clone_pipeline_tests.sources import ORGANIZATION, one_of_each

from .two import write_environments

__all__ = ["instance", "of_no_instance", "quick_dagster", "quiet"]  # fixtures

pytestmark = pytest.mark.outside

NIGHT = datetime(2026, 5, 6, 2, 0, tzinfo=timezone.utc)
NAME, OFFSITE = "prod_backup_20260506_0200", "offsite"


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policies:
    """One that backs `prod` up into another environment."""
    file = write_environments(
        tmp_path, offsite={"access": "write", "home": str(tmp_path / OFFSITE)}
    )
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLONE_ENVIRONMENTS", str(file))
    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    with holding(tmp_path / "home", one_of_each()) as stores:
        away = open_stores(load_settings(), environment=OFFSITE)
        try:
            same_organizations(stores, away, "{}")
        finally:
            away.close()
    return written(tmp_path, backups=[backup(options={"target_environment": OFFSITE})])


@pytest.fixture
def offsite(policies: Policies) -> Iterator[Stores]:
    stores = open_stores(load_settings(), environment=OFFSITE)
    yield stores
    stores.close()


def job(name: str, config: dict[str, Any], instance: dg.DagsterInstance) -> Any:
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(name).execute_in_process(run_config=config, instance=instance)


def tick(policies: Policies, instance: dg.DagsterInstance, name: str = "nightly") -> Any:
    schedules = [*policy_schedules(policies, load_settings()), sweep_schedule(policies)]
    (made,) = [one for one in schedules if one.name == name]
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=NIGHT)
    return made.evaluate_tick(context).run_requests


def test_a_backup_is_made_tested_and_swept_where_the_policy_writes(
    policies: Policies, offsite: Stores, instance: dg.DagsterInstance
) -> None:
    (asked,) = tick(policies, instance)
    made = clone_job().execute_in_process(
        run_config=asked.run_config, tags=asked.tags, instance=instance
    )
    with offsite.catalog.read() as connection:
        (kept,) = catalog.list_all(connection, None)
    assert kept.name == NAME
    own = open_stores(load_settings())
    with closing(own), own.catalog.read() as connection:
        assert [one.name for one in catalog.list_all(connection, None)] == ["prod"]
    (there,) = made.asset_materializations_for_node("publish_clone")
    assert there.asset_key == clone_key(ORGANIZATION, "nightly", OFFSITE)

    (test,) = tick(policies, instance, "restore_test_nightly")
    assert test.run_config == {"backup": "nightly", "environment": OFFSITE}
    assert job("test_restore", test.run_config, instance).success
    sweeps = [one.run_config for one in tick(policies, instance, "hourly_sweep")]
    assert sweeps == [{}, {"environment": OFFSITE}]
    assert all(job("sweep_namespaces", one, instance).success for one in sweeps)


def test_the_asset_of_a_policy_says_where_it_writes(policies: Policies, offsite: Stores) -> None:
    keys = [asset.key for asset in clone_assets(load_settings(), policies)]
    assert clone_key(ORGANIZATION, "nightly", OFFSITE) in keys
    assert dg.AssetKey(["clone", OFFSITE, ORGANIZATION, "nightly"]) in keys


_FORM = """
import dagster as dg
from clone_pipeline.launch import clone_job

for name in (None, "offsite", "default", "nowhere"):
    asked = {"namespace_identifier": "a", "namespace_name": "b", "target_environment": name}
    try:
        found = dg.validate_run_config(clone_job(), asked)
        print(found["ops"]["plan_clone"]["config"]["target_environment"])
    except dg.DagsterInvalidConfigError as error:
        print("refused" if "not in enum type Environment" in str(error) else error)
"""


def test_the_launchpad_offers_the_environments_that_there_are(tmp_path: Path) -> None:
    file = write_environments(
        tmp_path, offsite={"access": "write", "home": str(tmp_path / OFFSITE)}
    )
    given = {**os.environ, "CLONE_PIPELINE_HOME": str(tmp_path), "CLONE_ENVIRONMENTS": str(file)}
    # Read when it is loaded, so in a Python of its own.
    command = [sys.executable, "-c", _FORM]
    done = subprocess.run(command, capture_output=True, text=True, env=given, cwd=ROOT, check=False)
    assert done.stdout.split() == ["None", "offsite", "default", "refused"], done.stderr


def test_an_environment_that_is_away_is_waited_for_once(
    policies: Policies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each policy that reads there would keep the job from being loaded for as long."""
    away = {
        "access": "read",
        "catalog_url": "postgresql://127.0.0.1:9/nowhere",
        "qdrant": {"url": "http://127.0.0.1:9"},
        "api_key": {"env": "AWAY_KEY"},
    }
    monkeypatch.setenv("AWAY_KEY", "sk_1")
    write_environments(tmp_path, away=away)
    asked: list[str] = []

    def count(address: str, name: str) -> Catalog:
        asked.append(name)
        return opened(address, name)

    opened = Catalog.open_to_read
    monkeypatch.setattr(Catalog, "open_to_read", count)
    options = {"source_environment": "away"}
    names = {"name_template": "{policy}_{date}_{time}"}
    several = [backup(name=f"one_{number}", options=options, **names) for number in range(3)]
    assert clone_assets(load_settings(), written(tmp_path, backups=several)) == []
    assert asked == ["away"]


def test_a_key_that_is_not_valid_there_is_no_fault_of_the_caller_s(
    policies: Policies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_KEY", "sk_1")
    home = {"access": "read", "home": str(tmp_path / OFFSITE), "api_key": {"env": "WRONG_KEY"}}
    write_environments(tmp_path, offsite=home)
    stores = open_stores(load_settings())
    with closing(stores), pytest.raises(InvalidRequest, match="'offsite' cannot be looked into"):
        stores.source(OFFSITE)
