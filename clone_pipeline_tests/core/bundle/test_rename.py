"""Bundles that are loaded under another name, into another organization, or with new ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core import bundle
from clone_pipeline.core.bundle import LoadReport, Target
from clone_pipeline.core.catalog.namespace import FOREIGN_PAYLOADS
from clone_pipeline.core.catalog.schema import organizations
from clone_pipeline.core.errors import BundleError, Conflict, InvalidRequest, NotFound
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import WEBHOOK_SECRET, prod
from clone_pipeline_tests.sources import ID, NAME, Files, write_bundle

from .samples import NOW, exact, read_bundle, rows

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """An empty deployment."""
    (tmp_path / "home").mkdir()
    with harness.open_stores(tmp_path / "home") as stores:
        yield stores


def load(
    stores: Stores, folder: Path, target: Target, principal: Principal = LOCAL_OPERATOR
) -> LoadReport:
    with stores.vectors() as vectors:
        return bundle.load(folder, stores.catalog, vectors, NOW, principal=principal, target=target)


def written(folder: Path, **changes: Any) -> Path:
    return write_bundle(folder, {**prod(), **changes})


def dumped(stores: Stores, name: str, folder: Path) -> Files:
    return read_bundle(harness.dump(stores, name, folder))


def test_under_another_name_it_is_itself_with_its_ids(stores: Stores, tmp_path: Path) -> None:
    report = load(stores, written(tmp_path / "in"), Target("again"))
    assert (report.namespace_id, report.namespace_name) == (ID, "again")
    assert (report.warnings, report.references) == ([], [])
    after = dumped(stores, "again", tmp_path / "out")
    with harness.holding(tmp_path / "plain", prod()) as plain:
        before = dumped(plain, NAME, tmp_path / "before")
    before["namespace.json"]["namespace_name"] = "again"
    assert exact(after) == exact(before)


def test_what_is_taken_is_refused_with_the_way_out(stores: Stores, tmp_path: Path) -> None:
    folder = written(tmp_path / "in")
    load(stores, folder, Target())
    with pytest.raises(Conflict, match=f"with the id '{ID}' .* load the bundle with `new_ids`"):
        load(stores, folder, Target("again"))
    with pytest.raises(Conflict, match=f"the name '{NAME}' .* load the bundle with `namespace_na"):
        load(stores, folder, Target(new_ids=True))
    report = load(stores, folder, Target("again", new_ids=True))
    assert report.namespace_id != ID
    assert set(rows(stores.catalog)) & {"loads"} == set()


def test_beside_the_source_nothing_of_it_points_back(stores: Stores, tmp_path: Path) -> None:
    folder = written(tmp_path / "in")
    load(stores, folder, Target())
    report = load(stores, folder, Target("again", new_ids=True))
    after = dumped(stores, "again", tmp_path / "out")
    text = json.dumps({key: value for key, value in after.items() if key != "retrievers.jsonl"})
    for old in (ID, "bkt_videos01", "col_scenes0001", "ret_search00000001", "tax_kinds000001"):
        assert old not in text
    assert {point["payload"]["_internal"]["namespace_id"] for point in after["points.jsonl"]} == {
        report.namespace_id
    }
    assert any("points outside the loaded namespace and is cleared" in w for w in report.warnings)
    assert any("stands in free text" in warning for warning in report.warnings)
    outcomes = {(one["path"], one["outcome"]) for one in report.references}
    assert ("cluster_applications[0].cluster_id", "cleared") in outcomes


def test_the_ids_are_those_of_a_clone_of_that_name(stores: Stores, tmp_path: Path) -> None:
    with harness.holding(tmp_path / "source", prod()) as source:
        clone = harness.clone(source, NAME, "again")
    report = load(stores, written(tmp_path / "in"), Target("again", new_ids=True))
    assert report.namespace_id == clone.plan["target"]["namespace_id"]


def test_secrets_stay_behind_when_it_goes_to_another_organization(
    stores: Stores, tmp_path: Path
) -> None:
    report = load(stores, written(tmp_path / "in"), Target(organization_id="org_new"))
    assert (report.organization_id, report.namespace_id) == ("org_new", ID)
    after = dumped(stores, NAME, tmp_path / "out")
    assert WEBHOOK_SECRET not in json.dumps(after)
    assert WEBHOOK_SECRET not in json.dumps([report.references, report.by_hand, report.warnings])
    assert [one["removed"] for one in report.by_hand] == ["source_adapter.webhook_secret"]
    internal = {point["payload"]["_internal"]["internal_id"] for point in after["points.jsonl"]}
    assert internal == {"org_new"}


def test_nobody_loads_into_an_organization_that_is_not_theirs(
    stores: Stores, tmp_path: Path
) -> None:
    member = Principal("org_mine", "member", "key_1")
    folder = written(tmp_path / "in")
    for target in (Target(), Target(organization_id="org_theirs")):
        with pytest.raises(NotFound, match="There is no organization"):
            load(stores, folder, target, member)
    assert load(stores, folder, Target(organization_id="org_mine"), member).warnings
    assert rows(stores.catalog)["namespaces"] == 1


def test_payloads_that_know_no_namespaces_are_never_rewritten(
    stores: Stores, tmp_path: Path
) -> None:
    files = prod(**{FOREIGN_PAYLOADS: True})
    payload = {"collection_id": "col_scenes0001", "namespace_id": ID, "_internal": {"n": ID}}
    files["points.jsonl"] = [{"id": 1, "vector": {"text": [1.0, 2.0, 3.0]}, "payload": payload}]
    folder = write_bundle(tmp_path / "in", files)
    load(stores, folder, Target("again", "org_new", new_ids=True))
    assert dumped(stores, "again", tmp_path / "out")["points.jsonl"][0]["payload"] == payload


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ({"name": ""}, "`namespace_name` must have 1 to 64 characters"),
        ({"name": "n" * 65}, "`namespace_name` must have 1 to 64 characters"),
        ({"name": " again"}, "`namespace_name` must not begin or end with a space"),
        ({"name": "a\x00b"}, "`namespace_name` must not begin or end with a space or hold control"),
        ({"organization_id": ""}, "`organization_id` must have 1 to 128 characters"),
    ],
)
def test_names_that_no_namespace_can_have(target: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        Target(**target)


# ---- backups ---------------------------------------------------------------------------------


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """The bundle of a backup, in which a reference had been cleared."""
    with harness.holding(tmp_path / "source", prod()) as source:
        harness.clone(source, NAME, "backup", **BACKUP)
        return harness.dump(source, "backup", tmp_path / "backup")


def cluster(files: Files) -> Any:
    lines = next(one for one in files["collections.jsonl"] if one["collection_name"] == "lines")
    return lines["cluster_applications"]


CLUSTER = [{"cluster_id": "clust_abcdefgh"}]


def test_a_backup_becomes_what_was_backed_up_with_its_id(
    stores: Stores, backup: Path, tmp_path: Path
) -> None:
    report = load(stores, backup, Target(NAME))
    assert report.namespace_id == ID
    assert cluster(dumped(stores, NAME, tmp_path / "out")) == CLUSTER
    assert any("value is put back that the backup had cleared" in one for one in report.warnings)
    assert [one["removed"] for one in report.by_hand] == ["source_adapter.webhook_secret"]


def test_under_a_third_name_it_has_the_backups_own_id(
    stores: Stores, backup: Path, tmp_path: Path
) -> None:
    report = load(stores, backup, Target("look"))
    assert report.namespace_id == read_bundle(backup)["namespace.json"]["namespace_id"] != ID
    assert cluster(dumped(stores, "look", tmp_path / "out")) == CLUSTER


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Target(), "`load --as NAME` makes of it what was backed up"),
        (Target("again", new_ids=True), "not put back, because its ids are new"),
        (Target(organization_id="org_new"), "not put back, because it is in another organization"),
    ],
)
def test_elsewhere_nothing_is_put_back_and_that_is_told(
    stores: Stores, backup: Path, tmp_path: Path, target: Target, told: str
) -> None:
    report = load(stores, backup, target)
    assert cluster(dumped(stores, report.namespace_name, tmp_path / "out")) != CLUSTER
    assert any(told in warning for warning in report.warnings)


def test_what_was_cleared_stays_in_its_organization(tmp_path: Path) -> None:
    """A backup into another organization does not tell it there."""
    abroad = {**BACKUP, "organization_id": "org_other"}
    other = prod("ns_elsewhere1", "elsewhere", "org_other")
    with harness.holding(tmp_path / "source", prod(), other) as source:
        harness.clone(source, NAME, "backup", **abroad)
        folder = harness.dump(source, "backup", tmp_path / "backup")
    assert not (folder / "cleared.json").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.pop("namespace_id"),
        lambda found: found.update(parked=[{"resource": "collection"}]),
        lambda found: found["parked"][0].update(removed=""),
        lambda found: found.update(before=7),
    ],
)
def test_a_broken_record_of_what_was_cleared_is_refused(
    stores: Stores, backup: Path, spoil: Any
) -> None:
    path = backup / "cleared.json"
    found = json.loads(path.read_text())
    spoil(found)
    path.write_text(json.dumps(found))
    with pytest.raises(BundleError, match=r"cleared\.json: is not usable: "):
        load(stores, backup, Target(NAME))
    assert rows(stores.catalog) == {}


def test_organizations_here_keep_their_internal_id(tmp_path: Path) -> None:
    """Which is what payloads name, and not the organization's id."""
    with harness.holding(tmp_path / "home", prod("ns_elsewhere1", "there", "org_other")) as found:
        with found.catalog.write() as connection:
            connection.execute(update(organizations).values(internal_id="int_other"))
        load(found, written(tmp_path / "in"), Target(organization_id="org_other"))
        points = dumped(found, NAME, tmp_path / "out")["points.jsonl"]
    assert {point["payload"]["_internal"]["internal_id"] for point in points} == {"int_other"}
