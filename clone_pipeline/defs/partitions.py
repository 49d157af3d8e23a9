"""The backups of a policy, as partitions of its asset: new ones show without a reload.

Dagster keeps its own lists of them. A run that publishes a backup adds it, and the sensor
`backup_partitions` makes the lists equal to the ledger, whoever has changed that, and when.
"""

from __future__ import annotations

import json
from hashlib import sha256

import dagster as dg

from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger.backups import list_backups
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.assets import backups_of, clone_key
from clone_pipeline.defs.automation import looking, targets
from clone_pipeline.policies import Policies
from clone_pipeline.settings import Settings

_LOOK_SECONDS = 60
# The lists are compared once in so many looks also where the ledger is as it was: somebody may have
# changed them in the UI.
_LOOKS = 60


def add_backup(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> None:
    """Of a policy's asset; it may be there."""
    instance.add_dynamic_partitions(str(backups_of(key).name), [name])


def settle_partitions(instance: dg.DagsterInstance, stores: Stores) -> int:
    """Makes the lists of all policies that write into these stores equal to the ledger. How many
    entries were wrong."""
    lists = {key: _partitions(key, stores.environment) for key in _backups_in(stores)}
    listed = {key: set(instance.get_dynamic_partitions(name)) for key, name in lists.items()}
    wrong = 0
    # Read after the lists: a backup is in the ledger before it is in one of them.
    for key, names in _backups_in(stores).items():
        if key not in listed:
            continue  # its first backup has come meanwhile, and its run adds it
        for name in sorted(listed[key] - set(names)):
            instance.delete_dynamic_partition(lists[key], name)
        if missing := [name for name in names if name not in listed[key]]:
            instance.add_dynamic_partitions(lists[key], missing)
        wrong += len(listed[key] ^ set(names))
    return wrong


def _backups_in(stores: Stores) -> dict[tuple[str, str], list[str]]:
    with stores.catalog.read() as connection:
        return list_backups(connection)


def _partitions(key: tuple[str, str], environment: str) -> str:
    organization_id, policy = key
    return str(backups_of(clone_key(organization_id, policy, environment)).name)


def partitions_sensor(policies: Policies, settings: Settings) -> dg.SensorDefinition:
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        kept = json.loads(context.cursor) if context.cursor else {}
        seen, said = dict[str, list[str | int]](), list[str]()
        for name in targets(policies):
            try:
                with looking(settings, name) as (stores, _):
                    mark = _mark(_backups_in(stores))
                    before, looks = kept.get(stores.environment, ("", 0))
                    if mark == before and looks < _LOOKS:
                        seen[stores.environment] = [mark, looks + 1]
                        continue
                    wrong = settle_partitions(context.instance, stores)
                    seen[stores.environment] = [mark, 0]
            except CloneError as error:
                said.append(error.message)
            else:
                said += [f"Entries that were missing or wrong: {wrong}."] * bool(wrong)
        told = " ".join(said) or "The lists of backups are as the ledger is."
        return dg.SensorResult(skip_reason=told, cursor=json.dumps(seen))

    return dg.SensorDefinition(
        name="backup_partitions",
        evaluation_fn=evaluate,
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the partitions of each backup policy's asset equal to the backups that "
        "there are. Running by default.",
    )


def _mark(backups: dict[tuple[str, str], list[str]]) -> str:
    return sha256(json.dumps(sorted(backups.items())).encode()).hexdigest()
