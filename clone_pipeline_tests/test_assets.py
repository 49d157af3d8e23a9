"""Published clones are declared as assets; whatever the catalog is like, Dagster loads the job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.assets import clone_assets
from clone_pipeline.core.catalog.namespaces import resolve
from clone_pipeline.core.ledger import read_reports
from clone_pipeline.metadata import summary_materialization
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.core.bundle.samples import sample, write_bundle
from clone_pipeline_tests.harness import clone, load, open_stores
from clone_pipeline_tests.policies.files import backup, refresh, written

OWNERS = ["team:search", "ops@example.org"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_published_clones_are_declared_and_nothing_else_is(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    name = "a/b, *{{x}} 'é'"
    with open_stores(home) as stores:
        load(stores, write_bundle(tmp_path / "bundle", sample()))
        made = clone(stores, "prod", name)
        clone(stores, "prod", name, if_exists="replace")
        clone(stores, "prod", "unfinished", until="verify_clone")
    (asset,) = clone_assets(load_settings(), Policies())
    assert asset.key == dg.AssetKey(["clone", "org_acme", name])
    assert asset.metadata["source_namespace_id"] == made.source_namespace_id
    dg.Definitions.validate_loadable(dg.Definitions(assets=[asset]))


def test_all_backups_of_a_policy_are_one_asset(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with open_stores(home) as stores:
        load(stores, write_bundle(tmp_path / "bundle", sample()))
        clone(stores, "prod", "monday", policy="nightly")
        newest = clone(stores, "prod", "tuesday", policy="nightly")
        clone(stores, "prod", "staging", policy="follow", if_exists="replace")
        with stores.catalog.read() as connection:
            published = read_reports(connection, newest.clone_id)["publish_clone"]
            tuesday = resolve(connection, None, "tuesday").namespace_id
    assets = {asset.key: asset for asset in clone_assets(load_settings(), Policies())}
    nightly = dg.AssetKey(["clone", "org_acme", "nightly"])
    assert assets.keys() == {nightly, dg.AssetKey(["clone", "org_acme", "staging"])}
    assert assets[nightly].metadata["namespace_id"] == tuesday
    assert summary_materialization(published).asset_key == nightly


def test_without_a_catalog_there_are_no_assets_and_none_is_made(home: Path) -> None:
    assert clone_assets(load_settings(), Policies()) == []
    assert not home.exists()


def test_a_catalog_that_cannot_be_read_does_not_keep_dagster_from_loading(home: Path) -> None:
    home.mkdir()
    (home / "catalog.db").write_text("this is not a database, and long enough to be seen as none")
    assert clone_assets(load_settings(), Policies()) == []


def test_each_policy_is_an_asset_before_its_first_run(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with open_stores(home) as stores:
        load(stores, write_bundle(tmp_path / "bundle", sample()))
        clone(stores, "prod", "monday", policy="nightly")
    policies = written(
        tmp_path,
        backups=[
            backup(owners=["team:search", "ops@example.org"]),
            backup(name="b", source="gone"),
        ],
        refreshes=[refresh(max_age_seconds=7200, on_change={})],
    )
    assets = {asset.key.path[-1]: asset for asset in clone_assets(load_settings(), policies)}
    # That its source is not there, its schedule's tick says.
    assert assets.keys() == {"nightly", "staging"}
    nightly, staging = assets["nightly"], assets["staging"]
    assert nightly.owners == OWNERS
    assert (nightly.group_name, staging.group_name) == ("backups", "clones")
    assert nightly.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=2), warn_window=timedelta(days=1.25)
    )
    assert staging.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=4), warn_window=timedelta(hours=2.5)
    )
    dg.Definitions.validate_loadable(dg.Definitions(assets=list(assets.values())))


def test_what_waits_for_a_change_or_is_stopped_is_never_late(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with open_stores(home) as stores:
        load(stores, write_bundle(tmp_path / "bundle", sample()))
    policies = written(
        tmp_path,
        backups=[backup(enabled=False)],
        refreshes=[refresh(on_change={}, max_age_seconds=None)],
    )
    assets = clone_assets(load_settings(), policies)
    assert len(assets) == 2
    assert [asset.freshness_policy for asset in assets] == [None, None]
