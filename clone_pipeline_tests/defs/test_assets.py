"""Published clones are declared as assets; whatever the catalog is like, Dagster loads the job."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.cli.main import cli
from clone_pipeline.core.catalog.namespaces import resolve
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.ledger.clones import read_reports
from clone_pipeline.defs.assets import clone_assets
from clone_pipeline.defs.metadata import summary_materialization
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.cli.running import parsed
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import clone, holding
from clone_pipeline_tests.policies.files import backup, refresh, written

NIGHTLY: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}
SOURCE = dg.AssetKey(["namespace", "org_acme", "prod"])
EVERYTHING = {"collections": True, "retrievers": True, "taxonomies": True}
OWNERS = ["team:search", "ops@example.org"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_published_clones_are_declared_and_nothing_else_is(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    name = "a/b, *{{x}} 'é'"
    with holding(home, sample()) as stores:
        made = clone(stores, "prod", name)
        clone(stores, "prod", name, if_exists="replace")
        clone(stores, "prod", "unfinished", until="verify_clone")
    asset, source = clone_assets(load_settings(), Policies())
    assert source.key == SOURCE
    assert asset.key == dg.AssetKey(["clone", "org_acme", name])
    assert asset.metadata["source_namespace_id"] == made.source_namespace_id
    _, *arguments = shlex.split(asset.metadata["report"])
    called = parsed(cli.commands["report"], arguments[1:])
    assert (called["name"], str(called["output"])) == (name, "a_b_____x____é_.html")
    dg.Definitions.validate_loadable(dg.Definitions(assets=[asset, source]))


def test_all_backups_of_a_policy_are_one_asset(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with holding(home, sample()) as stores:
        clone(stores, "prod", "monday", **NIGHTLY)
        newest = clone(stores, "prod", "tuesday", **NIGHTLY)
        clone(stores, "prod", "staging", policy="follow", if_exists="replace")
        with stores.catalog.read() as connection:
            published = read_reports(connection, newest.clone_id)["publish_clone"]
            tuesday = resolve(connection, None, "tuesday").namespace_id
    assets = {asset.key: asset for asset in clone_assets(load_settings(), Policies())}
    nightly = dg.AssetKey(["clone", "org_acme", "nightly"])
    assert assets.keys() == {nightly, dg.AssetKey(["clone", "org_acme", "staging"]), SOURCE}
    assert assets[nightly].metadata["namespace_id"] == tuesday
    command = "clone-pipeline report --policy -o nightly.html -- nightly"
    assert assets[nightly].metadata["report"] == command
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
    with holding(home, sample()) as stores:
        clone(stores, "prod", "monday", **NIGHTLY)
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
    assert assets.keys() == {"nightly", "staging", "prod"}
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


def test_a_policy_is_an_asset_of_its_own_also_when_todays_backup_is_there(
    home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    policies = written(tmp_path, backups=[backup(name_template="prod_{date}", owners=OWNERS)])
    with holding(home, sample()) as stores:
        for day in (0, 1):  # whatever happens at midnight
            name = policies.backups[0].clone_name(stores.clock() + timedelta(days=day))
            clone(stores, "prod", name, include_resources=EVERYTHING, **NIGHTLY)
    nightly, _ = clone_assets(load_settings(), policies)
    assert (nightly.owners, nightly.freshness_policy is not None) == (OWNERS, True)


def test_what_waits_for_a_change_or_is_stopped_is_never_late(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with holding(home, sample()):
        pass
    policies = written(
        tmp_path,
        backups=[backup(enabled=False)],
        refreshes=[refresh(on_change={}, max_age_seconds=None)],
    )
    assets = clone_assets(load_settings(), policies)
    assert len(assets) == 3
    assert [asset.freshness_policy for asset in assets] == [None, None, None]


# ---- what is made of what ---------------------------------------------------------------------


def made_of(policies: Policies | None = None) -> dict[str, str | None]:
    """For each asset the one that it is made of, by name."""
    assets = clone_assets(load_settings(), policies or Policies())
    dg.Definitions.validate_loadable(dg.Definitions(assets=assets))
    return {
        asset.key.path[-1]: next((one.asset_key.path[-1] for one in asset.deps), None)
        for asset in assets
    }


def test_source_clone_backup_and_what_was_restored_of_it_are_joined(
    home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    with holding(home, sample()) as stores:
        clone(stores, "prod", "staging")
        clone(stores, "staging", "branch")
        clone(stores, "prod", "monday", **NIGHTLY)
        clone(stores, "monday", "restored")
    policies = written(
        tmp_path,
        backups=[backup(name="hourly", source="staging", name_template="h_{date}_{time}")],
    )
    assert made_of(policies) == {
        "prod": None,
        "staging": "prod",
        "branch": "staging",
        "nightly": "prod",
        "restored": "nightly",
        "hourly": "staging",
    }


def test_a_namespace_that_was_restored_from_its_own_backup_is_no_circle(
    home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    with holding(home, sample()) as stores:
        clone(stores, "prod", "monday", policy="nightly", preserve_resource_ids=True)
        clone(stores, "monday", "prod", if_exists="replace", adopt=True)
    joined = made_of()
    assert joined.keys() == {"prod", "nightly"}
    assert sorted(str(source) for source in joined.values()) in (
        ["None", "nightly"],
        ["None", "prod"],
    )


def test_a_deleted_clone_is_told_apart(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with holding(home, sample()) as stores:
        for name in ("gone", "back"):
            clone(stores, "prod", name)
            delete_clone(stores, "org_acme", name)
        clone(stores, "prod", "back")
    assets = {asset.key.path[-1]: asset for asset in clone_assets(load_settings(), Policies())}
    assert {name: asset.group_name for name, asset in assets.items()} == {
        "gone": "deleted",
        "back": "clones",
        "prod": "sources",
    }
    gone = assets["gone"]
    assert str(gone.description).startswith("Deleted at ")
    assert gone.tags == {"clone/status": "deleted"}


@pytest.mark.outside
def test_a_policy_says_which_of_its_backups_are_deleted(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    with holding(home, sample()) as stores:
        for name in ("monday", "tuesday"):
            clone(stores, "prod", name, **NIGHTLY)
        (before,) = _nightly(Policies())
        delete_clone(stores, "org_acme", "monday")
        policies = written(tmp_path, backups=[backup(name="nightly", source="prod")])
        for known in (Policies(), policies):
            (asset,) = _nightly(known)
            assert asset.group_name == "backups"
            assert "Not there any more" in str(asset.description)
            assert "monday, deleted at " in str(asset.description)
            assert "tuesday" not in str(asset.description)
            assert asset.tags["clone/backups"] == "some_deleted"
            assert [one.split(",")[0] for one in asset.metadata["deleted_backups"]] == ["monday"]
        # One that was made anew is there.
        clone(stores, "prod", "monday", **NIGHTLY)
        (asset,) = _nightly(Policies())
        assert asset.description == before.description
        # Where all are gone it is a deleted one itself.
        for name in ("monday", "tuesday"):
            delete_clone(stores, "org_acme", name, Admitted(last_backup=True))
        (asset,) = _nightly(Policies())
    assert (asset.group_name, asset.tags) == ("deleted", {"clone/status": "deleted"})


def _nightly(policies: Policies) -> list[dg.AssetSpec]:
    assets = clone_assets(load_settings(), policies)
    dg.Definitions.validate_loadable(dg.Definitions(assets=assets))
    return [one for one in assets if one.key.path[-1] == "nightly"]
