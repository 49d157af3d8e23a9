"""Asset checks: is a clone proven equal to its source, and has a backup been restored of late?

Both are said by the run that finds it out; `check_clones` says them again from the ledger, so that
a restore test that no longer runs is noticed.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from clone_pipeline.core.archives.records import Archive, list_archives
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.generations.holdings import Holdings
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.stored import left_alone
from clone_pipeline.core.ledger.watch import last_restore_test
from clone_pipeline.core.outputs import Published
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.restore_test import RestoreTest
from clone_pipeline.defs.assets import BACKUPS, CLONES, clone_key
from clone_pipeline.defs.metadata import asset_key, restore_test_metadata
from clone_pipeline.defs.resources import StoresResource
from clone_pipeline.policies import Policies

EQUAL = "equal_to_source"
RESTORED = "restore_tested"

Finding = dict[str, Any]
# Of the key of a clone in the own environment.
_OWN_PARTS = 3


def equality_evaluation(report: StepReport) -> dg.AssetCheckEvaluation:
    """Of a clone that has just been published."""
    published = Published.of(report)
    at = published.read_at
    when = "before it was published" if at is None else _before(at)
    finding = _equality(published.proven, when)
    return dg.AssetCheckEvaluation(asset_key=asset_key(report), check_name=EQUAL, **finding)


def archive_evaluation(made: Archive) -> dg.AssetCheckEvaluation:
    """Of an archive that has just been written for a policy."""
    return dg.AssetCheckEvaluation(
        asset_key=clone_key(made.organization_id, made.policy or made.name),
        check_name=EQUAL,
        **_archive_equality(made),
    )


def restore_evaluation(result: RestoreTest) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=clone_key(result.organization_id, result.policy or result.backup),
        check_name=RESTORED,
        passed=result.good,
        metadata=restore_test_metadata(result),
    )


def clone_checks(
    assets: Sequence[dg.AssetSpec], policies: Policies
) -> dg.AssetChecksDefinition | None:
    """The checks of all clones and backups that are shown; None where there are none."""
    tested = {
        policy.name: policy.restore_test.max_age_days
        for policy in policies.backups
        if policy.restore_test is not None
    }
    archiving = {policy.name for policy in policies.backups if policy.to is not None}
    # What is in another environment is looked up there.
    assets = [
        asset
        for asset in assets
        if asset.group_name in (BACKUPS, CLONES) and len(asset.key.path) == _OWN_PARTS
    ]
    specs = [
        dg.AssetCheckSpec(
            EQUAL,
            asset=asset.key,
            description="Every point and record was compared with the source when it was made.",
        )
        for asset in assets
    ]
    specs += [
        dg.AssetCheckSpec(
            RESTORED,
            asset=asset.key,
            description="A backup was restored into a scratch namespace and proven there within "
            f"the last {tested[asset.key.path[-1]]} days.",
        )
        for asset in assets
        if asset.group_name == BACKUPS and asset.key.path[-1] in tested
    ]
    if not specs:
        return None

    # Not `multi_asset_check`: it makes names of outputs out of the namespaces' names, which may
    # have spaces and slashes in them, or differ in a hyphen and an underscore. And no inputs:
    # the ledger is what is read, and Dagster compares each of them with each check.
    outputs = {f"check_{number}": spec for number, spec in enumerate(specs)}

    @dg.op(out=dict.fromkeys(outputs, dg.Out(is_required=False)))
    def look_up_proofs(
        context: dg.AssetCheckExecutionContext, stores: StoresResource
    ) -> Iterator[dg.AssetCheckResult]:
        """Look up in the ledger how each clone was proven, and when each backup was tested."""
        now = stores.stores.clock()
        with stores.stores.catalog.read() as connection:
            for key in sorted(context.selected_asset_check_keys):
                if key.name == RESTORED:
                    _, organization_id, policy = key.asset_key.path
                    test = last_restore_test(connection, organization_id, policy)
                    finding = _restorability(test, now, tested[policy])
                elif archives := _archives_of(connection, key.asset_key, archiving):
                    finding = _archive_equality(archives[0])
                else:
                    finding = _newest_equality(_clones_of(connection, key.asset_key, now))
                yield dg.AssetCheckResult(asset_key=key.asset_key, check_name=key.name, **finding)

    checks: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name={},
        node_def=look_up_proofs,
        check_specs_by_output_name=outputs,
        can_subset=True,
    )
    return checks


def _clones_of(connection: Connection, key: dg.AssetKey, now: datetime) -> list[Clone]:
    """The clones that an asset stands for, newest first."""
    _, organization_id, name = key.path
    holdings = Holdings.read(connection, organization_id, now)
    newest_first = [one.namespace for one in holdings.newest_backups(name, organization_id)[::-1]]
    if not newest_first:
        live = catalog.find_named(connection, organization_id, name)
        newest_first = [live] if live is not None else []
    return [
        ledger.get(connection, namespace.clone_id)
        for namespace in newest_first
        if namespace.clone_id is not None
    ]


def _archives_of(connection: Connection, key: dg.AssetKey, archiving: set[str]) -> list[Archive]:
    """The archives that an asset stands for, newest first; none where its policy makes clones."""
    _, organization_id, name = key.path
    if name not in archiving:
        return []
    there = list_archives(connection, organization_id, "ready")
    return [one for one in there[::-1] if one.policy == name]


def _archive_equality(made: Archive) -> Finding:
    if made.proven:
        sentence = (
            f"At {made.finished_at or made.updated_at:%Y-%m-%d %H:%M} UTC the archive was read "
            "back, and holds every point and record as it was read from the source."
        )
        return {"passed": True, "metadata": {"sentence": sentence, "proven": "full"}}
    return _failed("The archive was not read back.", severity=dg.AssetCheckSeverity.WARN)


def _newest_equality(clones: Sequence[Clone]) -> Finding:
    if not clones:
        return _failed("There is no such clone any more.")
    clone = clones[0]
    made = f"at {clone.finished_at or clone.updated_at:%Y-%m-%d %H:%M} UTC"
    if (read := left_alone(clone.plan)) is not None:
        made = _before(datetime.fromisoformat(read["read_at"]))
    return _equality(clone.request["verify"] if clone.status == "ready" else "", made)


def _before(read_at: datetime) -> str:
    """Of a refresh that has read no point."""
    when = f"at {read_at:%Y-%m-%d %H:%M} UTC"
    return f"{when}; when it was refreshed last, nobody had written to either since"


def _equality(proven: str, when: str) -> Finding:
    if proven == "full":
        sentence = f"Every point and record was compared with the source {when}."
        return {"passed": True, "metadata": {"sentence": sentence, "proven": proven}}
    return _failed(
        f"Only {proven or 'nothing'} was compared with the source; `verify: full` proves it all.",
        severity=dg.AssetCheckSeverity.WARN,
    )


def _restorability(found: dict[str, Any] | None, now: datetime, days: int) -> Finding:
    if found is None:
        return _failed("No backup has been restored for a test yet.")
    test = RestoreTest.from_json(found)
    metadata = restore_test_metadata(test)
    if test.good and now - test.tested_at > timedelta(days=days):
        metadata["sentence"] = (
            f"The last restore test was at {test.tested_at:%Y-%m-%d %H:%M} UTC, more than "
            f"{days} days ago."
        )
        return {"passed": False, "metadata": metadata}
    return {"passed": test.good, "metadata": metadata}


def _failed(sentence: str, **more: Any) -> Finding:
    return {"passed": False, "metadata": {"sentence": sentence}} | more
