"""The backups of a policy are partitions of its asset, and equal to the ledger whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.assets import backups_of, clone_assets, clone_key
from clone_pipeline.launch import clone_job
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.defs.watching import sensors
from clone_pipeline_tests.harness import clone, open_stores
from clone_pipeline_tests.policies.files import backup, written

KEY = clone_key("org_acme", "nightly")
BACKUP: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}


def listed(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions(str(backups_of(KEY).name)))


class Looking:
    """The sensor with its cursor, look after look."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.sensor, self.instance = sensors(folder)["backup_partitions"], instance
        self.cursor: str | None = None

    def look(self) -> str:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return str(data.skip_message)


def test_a_backup_that_a_run_publishes_is_listed_at_once(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: Any
) -> None:
    policies = written(tmp_path, backups=[backup(name_template="b_{date}_{time}")])
    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    (policy,) = policies.backups
    result = dg.execute_job(
        dg.reconstructable(clone_job),
        instance=instance,
        run_config=policy.request("b_20261124_0200"),
        tags={"clone/policy": "nightly"},
    )
    assert result.success
    assert listed(instance) == ["b_20261124_0200"]
    (event,) = instance.fetch_materializations(KEY, limit=5).records
    assert event.partition_key == "b_20261124_0200"


def test_what_came_and_went_while_dagster_was_down_is_put_right(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    looking = Looking(tmp_path, instance)
    with open_stores(home) as stores:
        for name in ("monday", "tuesday"):
            clone(stores, "prod", name, **BACKUP)
        clone(stores, "prod", "staging", policy="follow", if_exists="replace")
        assert looking.look() == "Entries that were missing or wrong: 2."
        assert listed(instance) == ["monday", "tuesday"]
        delete_clone(stores, "org_acme", "monday")
        looking.look()
        assert listed(instance) == ["tuesday"]
        delete_clone(stores, "org_acme", "tuesday", Admitted(last_backup=True))
        looking.look()
    assert listed(instance) == []
    assert looking.look() == "The lists of backups are as the ledger is."


def test_a_list_that_somebody_has_changed_is_put_right_within_the_hour(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    looking = Looking(tmp_path, instance)
    with open_stores(home) as stores:
        clone(stores, "prod", "monday", **BACKUP)
        looking.look()
        instance.delete_dynamic_partition(str(backups_of(KEY).name), "monday")
        for _ in range(61):
            looking.look()
    assert listed(instance) == ["monday"]


def test_an_asset_of_backups_has_its_list_with_a_policy_and_without(
    home: Path, tmp_path: Path
) -> None:
    with open_stores(home) as stores:
        _some(stores)
    policies = written(tmp_path, backups=[backup()])
    for known in (Policies(), policies):
        made = {asset.key: asset for asset in clone_assets(load_settings(), known)}
        assert made[KEY].partitions_def == backups_of(KEY)
        assert made[clone_key("org_acme", "copy")].partitions_def is None
        dg.Definitions.validate_loadable(dg.Definitions(assets=list(made.values())))


def _some(stores: Stores) -> None:
    clone(stores, "prod", "monday", **BACKUP)
    clone(stores, "monday", "copy")
