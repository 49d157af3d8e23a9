"""A restored backup is the namespace that was backed up, but for what nobody kept."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from sqlalchemy import delete

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.documents import RECORDS
from clone_pipeline.core.catalog.schema import clones, metadata
from clone_pipeline.core.difference import differing_fields
from clone_pipeline.core.errors import Conflict, DanglingReferences, InvalidRequest
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan.restore import restore_document
from clone_pipeline.core.references import ACTS, WAS_SET, Rewriter
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair
from clone_pipeline.core.verify.records import read_actual
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.properties.namespaces import everything
from clone_pipeline_tests.properties.world import NAMESPACE_NAME, ORGANIZATION
from clone_pipeline_tests.sources import Files

from ..references.examples import identity
from ..references.test_properties import FEW, configurations

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}
RESTORE = BACKUP | {"restore": True}
SMALL_KINDS = ("bucket", "collection", "retriever", "taxonomy")


def entry(path: str, value: Any, **more: Any) -> dict[str, Any]:
    about = {"resource": "collection", "resource_id": "col_1", "version": 0, "old": ""}
    return about | {"removed": path, "parked": value} | more


@given(configurations())
@FEW
def test_what_was_cleared_stands_again_where_it_stood(found: tuple[str, dict[str, Any]]) -> None:
    kind, document = found
    assume(kind != "namespace")  # two must not share what is cleared in one
    cleared, references = Rewriter(identity()).rewrite(kind, document)
    parked = [asdict(one) for one in references if one.parked is not None]
    assume(WAS_SET not in [one["parked"] for one in parked])
    again, standing = restore_document(cleared, parked)
    assert again == document
    assert standing == parked


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"a": {"b": 7}}, "a.b", 8),
        ({"a": [1]}, "a[1].b", 8),
        ({"a": {}}, "a[0]", 8),
        ({"a": None}, "a.b", 8),
        ({}, "a.b.c[0]", 8),
    ],
)
def test_what_has_no_place_any_more_is_left_alone(
    document: dict[str, Any], path: str, value: Any
) -> None:
    assert restore_document(document, [entry(path, value)]) == (document, [])


@pytest.mark.parametrize("there", [0, 0.0, "", [], 1])
def test_what_was_set_since_stays_though_it_is_nothing_much(there: Any) -> None:
    document = {"a": there}
    assert restore_document(document, [entry("a", True)]) == (document, [])
    assert document == {"a": there}


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (["b"], ["a", "b", "a", "c"]),
        (["a", "b"], ["a", "b", "a", "c"]),
        (["b", "a", "c", "d"], ["b", "a", "a", "c", "d"]),
        (["c", "a", "a"], ["c", "a", "a"]),
        ([], ["a", "a", "c"]),
    ],
    ids=["dropped", "one again", "two again", "all again", "the others gone"],
)
def test_an_item_that_somebody_put_there_again_is_not_there_twice(
    now: list[str], then: list[str]
) -> None:
    entries = [entry("ids[0]", "a"), entry("ids[2]", "a"), entry("ids[3]", "c")]
    document, standing = restore_document({"ids": now}, entries)
    assert document == {"ids": then}
    assert standing == entries


def test_a_key_that_was_dropped_with_its_value_comes_back() -> None:
    entries = [
        entry("field_map.bkt_1", ["title"]),
        entry("field_map.{{a.b}}", 1, old="{{a.b}}"),
    ]
    document, standing = restore_document({"field_map": {}}, entries)
    assert document == {"field_map": {"bkt_1": ["title"], "{{a.b}}": 1}}
    assert standing == entries


def test_keys_may_have_dots_and_brackets_in_them() -> None:
    entries = [entry("a.b.c[0]", "x"), entry("a.b.d", "y")]
    document, standing = restore_document({"a": 1, "a.b": {"c[0]": None}, "a.b.d": None}, entries)
    assert document == {"a": 1, "a.b": {"c[0]": "x"}, "a.b.d": "y"}
    assert standing == entries


# ---- whole namespaces ------------------------------------------------------------------------


def back_up(home: Path, files: Files) -> Path:
    with harness.holding(home, files) as made:
        harness.clone(made, NAMESPACE_NAME, "backup", **BACKUP)
    return home


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a namespace can have, and a backup of it; to be copied, not used."""
    return back_up(tmp_path_factory.mktemp("backed_up"), everything().files)


@pytest.fixture(scope="module")
def little_backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return back_up(tmp_path_factory.mktemp("little_backed_up"), prod())


@pytest.fixture
def stores(tmp_path: Path, backed_up: Path) -> Iterator[Stores]:
    """The source and a backup of it."""
    shutil.copytree(backed_up, tmp_path, dirs_exist_ok=True)
    with harness.open_stores(tmp_path) as made:
        yield made


@pytest.fixture
def little(tmp_path: Path, little_backed_up: Path) -> Iterator[Stores]:
    """The same of a small source, where it does not matter what can be put back."""
    shutil.copytree(little_backed_up, tmp_path, dirs_exist_ok=True)
    with harness.open_stores(tmp_path) as made:
        yield made


def documents(stores: Stores, name: str) -> dict[str, Any]:
    """Every small resource of a namespace, by kind, id and version, its own id as NS."""
    with stores.catalog.read() as connection:
        found = catalog.resolve(connection, None, name)
        read = {
            f"{kind} {key}": document
            for kind in SMALL_KINDS
            for key, document in read_actual(connection, found.key, kind).items()
        }
    same: dict[str, Any] = json.loads(json.dumps(read).replace(found.namespace_id, "NS"))
    return same


def apart(stores: Stores, one: str, other: str) -> set[str]:
    before, after = documents(stores, one), documents(stores, other)
    assert before.keys() == after.keys()
    return {
        f"{name}: {field}"
        for name in before
        for field in differing_fields(before[name], after[name])
    }


def by_hand(clone: Clone) -> set[str]:
    return {entry["removed"] for entry in clone.plan["by_hand"]}


def test_what_is_put_back_and_what_a_person_must_set_is_told(stores: Stores) -> None:
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    assert {"source_adapter.webhook_secret", "infrastructure.qdrant_url"} <= by_hand(restored)
    told = restored.plan["warnings"]
    put_back = restored.plan["put_back"]
    settings = sum(one["reason"] == ACTS for one in put_back)
    assert 0 < settings < len(put_back)
    sentence = (
        f"{len(put_back)} values are put back that the backup had cleared ({settings} settings, "
        f"{len(put_back) - settings} references): what acts in what was backed up, acts here too."
    )
    assert sentence in told
    assert sum("To be set by hand" in sentence for sentence in told) == len(
        restored.plan["by_hand"]
    )
    assert "hook-secret" not in str(restored.plan)


def test_nobody_is_sent_to_the_original_to_set_what_the_restored_one_lacks(stores: Stores) -> None:
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    told = [one for one in restored.plan["warnings"] if one.startswith("To be set by hand")]
    assert any("infrastructure.qdrant_url" in sentence for sentence in told)
    assert all(
        sentence.startswith("To be set by hand in the restored namespace: ") for sentence in told
    )
    assert not any(" of namespace " in sentence for sentence in told)


def test_what_is_said_of_a_restore_fits_where_the_original_is_gone(stores: Stores) -> None:
    told = harness.clone(stores, "backup", "again", **RESTORE).plan["warnings"]
    assert not any("the clone" in one or "two namespaces" in one for one in told)
    assert any("which belongs to one namespace alone" in one for one in told)
    assert any("The restored namespace refers to the backup's S3 files" in one for one in told)
    with pytest.raises(DanglingReferences, match="would not resolve in the restored namespace"):
        harness.clone(stores, "backup", "strict", **RESTORE, on_dangling="fail")


def test_what_led_nowhere_before_is_told_and_refused_where_that_is_asked_for(
    stores: Stores,
) -> None:
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    put_back = {(one["resource_id"], one["path"]) for one in restored.plan["put_back"]}
    told = {
        (one["resource_id"], one["path"])
        for one in restored.plan["references"]
        if one["outcome"] == "unresolved"
    }
    assert put_back & told
    with pytest.raises(DanglingReferences):
        harness.clone(stores, "backup", "strict", **RESTORE, on_dangling="fail")


def test_what_a_backup_of_a_backup_does_not_have_is_to_be_set_by_hand(stores: Stores) -> None:
    harness.clone(stores, "backup", "second", **BACKUP)
    first = harness.clone(stores, "backup", "one", **RESTORE)
    again = harness.clone(stores, "second", "two", **RESTORE)
    assert again.plan["put_back"] == []
    lost = {(one["resource_id"], one["removed"]) for one in first.plan["put_back"]}
    named = {(one["resource_id"], one["removed"]) for one in again.plan["by_hand"]}
    assert lost
    assert lost <= named


def test_what_has_been_set_since_is_not_asked_for_again(stores: Stores) -> None:
    """In a namespace that was restored, and backed up, and restored once more."""
    harness.clone(stores, "backup", "again", **RESTORE)
    harness.clone(stores, "again", "backup of it", **BACKUP)
    once_more = harness.clone(stores, "backup of it", "once more", **RESTORE)
    assert apart(stores, "again", "once more") == set()
    put_back = {one["removed"] for one in once_more.plan["put_back"]}
    assert "schedule" in put_back
    assert not put_back & by_hand(once_more)


def test_an_older_ledger_does_not_know_versions_of_a_taxonomy(stores: Stores) -> None:
    """Where there are several, nobody can tell to which a value belongs."""
    with stores.catalog.write() as connection:
        backup = catalog.resolve(connection, None, "backup")
        rows = list(catalog.read_records(connection, backup.key, "taxonomy"))
        clone = ledger.get(connection, str(backup.clone_id))
        cleared = {
            (one["resource_id"], one["version"])
            for one in clone.parked
            if one["resource"] == "taxonomy"
        }
        # So that one taxonomy has one version, in which something was cleared.
        gone = next(row for row in rows if (row["taxonomy_id"], 3 - row["version"]) in cleared)
        rows.remove(gone)
        table = RECORDS["taxonomy"].table.c
        connection.execute(
            RECORDS["taxonomy"]
            .table.delete()
            .where(
                table.namespace_key == backup.key,
                table.taxonomy_id == gone["taxonomy_id"],
                table.version == gone["version"],
            )
        )
        versions = Counter(row["taxonomy_id"] for row in rows)
        parked = [
            {key: value for key, value in one.items() if key != "version"} for one in clone.parked
        ]
        mine = clones.c.clone_id == clone.clone_id
        connection.execute(clones.update().where(mine).values(parked=parked))
    assert {1, 2} <= set(versions.values())
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    several = {name for name, count in versions.items() if count > 1}
    of_taxonomies = [one for one in parked if one["resource"] == "taxonomy"]
    wanted = {(one["resource_id"], one["removed"]) for one in of_taxonomies}
    assert {name for name, _ in wanted} >= set(versions)
    left = {
        (one["resource_id"], one["removed"])
        for one in restored.plan["by_hand"]
        if one["resource"] == "taxonomy"
    }
    assert left >= {(name, path) for name, path in wanted if name in several}
    back = {one["resource_id"] for one in restored.plan["put_back"]}
    assert back & set(versions) == set(versions) - several


def test_a_backup_that_is_only_cloned_stays_quiet(stores: Stores) -> None:
    """To look into it, without two namespaces that act."""
    looked_at = harness.clone(stores, "backup", "look", **BACKUP)
    assert apart(stores, "backup", "look") == set()
    assert looked_at.plan["put_back"] == []


def test_what_is_put_back_is_no_change_of_the_backup(stores: Stores) -> None:
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    assert restored.plan["put_back"]
    with stores.catalog.read() as connection:
        proof = ledger.read_reports(connection, restored.clone_id)["verify_clone"]
    assert proof.details["drift"] == {"state": "quiet", "at_least": {}}


def test_it_takes_the_place_of_what_is_there(little: Stores) -> None:
    with little.catalog.read() as connection:
        before = catalog.resolve(connection, None, NAMESPACE_NAME)
    harness.clone(little, "backup", NAMESPACE_NAME, **RESTORE, if_exists="replace", adopt=True)
    with little.catalog.read() as connection:
        now = catalog.resolve(connection, None, NAMESPACE_NAME)
    assert now.namespace_id == before.namespace_id
    assert now.generation == before.generation + 1


def test_a_namespace_that_was_lost_comes_back_with_its_id(little: Stores) -> None:
    with little.catalog.write() as connection:
        lost = catalog.resolve(connection, None, NAMESPACE_NAME)
        for table in reversed(metadata.sorted_tables):
            if "namespace_key" in table.c and table is not clones:
                connection.execute(delete(table).where(table.c.namespace_key == lost.key))
    # To look into first: it must not take the id away.
    harness.clone(little, "backup", "look", **RESTORE)
    harness.clone(little, "backup", NAMESPACE_NAME, **RESTORE)
    assert _id_of(little, "look") != lost.namespace_id
    assert _id_of(little, NAMESPACE_NAME) == lost.namespace_id
    assert verify_pair(little, None, "backup", NAMESPACE_NAME).equal is True


def test_a_backup_of_which_something_is_missing_takes_nothings_place(little: Stores) -> None:
    with little.catalog.read() as connection:
        backup = catalog.resolve(connection, None, "backup")
    with little.vectors() as vectors:
        points = vectors.count(backup.qdrant_collection)
        vectors.delete(backup.qdrant_collection)
        vectors.create(backup.qdrant_collection, backup.qdrant_config or {})
    sentence = f"The backup 'backup' is not what was proven: it has 0 points and not {points}"
    with pytest.raises(Conflict, match=rf"{sentence}, so it does not take the place of"):
        harness.clone(little, "backup", NAMESPACE_NAME, **RESTORE, if_exists="replace", adopt=True)
    # Under a new name it is the best there is.
    made = harness.clone(little, "backup", "look", **RESTORE)
    assert f"{sentence}." in made.plan["warnings"]


def test_what_was_changed_in_the_backup_is_not_written_over(stores: Stores) -> None:
    clone = harness.clone(stores, "backup", "first", **RESTORE)
    entry = next(one for one in clone.plan["put_back"] if one["removed"] == "schedule")
    with stores.catalog.write() as connection:
        backup = catalog.resolve(connection, None, "backup")
        table = RECORDS["collection"].table
        mine = (table.c.namespace_key == backup.key) & (
            table.c.collection_id == entry["resource_id"]
        )
        row = connection.execute(table.select().where(mine)).mappings().one()
        changed = row["document"] | {"schedule": {"trigger_type": "changed"}}
        connection.execute(table.update().where(mine).values(document=changed))
    again = harness.clone(stores, "backup", "second", **RESTORE)
    assert "schedule" in by_hand(again)
    document = documents(stores, "second")[f"collection {(entry['resource_id'], 0)}"]
    assert document["schedule"] == {"trigger_type": "changed"}


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("backup", {"preserve_resource_ids": False}, "keeps all ids"),
        (NAMESPACE_NAME, {}, "was not made by clone-pipeline"),
        ("staging", {}, "is no backup"),
    ],
)
def test_what_is_no_backup_is_not_restored(
    little: Stores, name: str, options: dict[str, Any], sentence: str
) -> None:
    harness.clone(little, NAMESPACE_NAME, "staging")
    with pytest.raises(InvalidRequest, match=sentence):
        harness.clone(little, name, "again", **(RESTORE | options))
    with little.catalog.read() as connection:
        assert catalog.find(connection, None, "again") is None


def test_a_backup_from_another_organization_is_not_restored_in_this_one(
    stores: Stores, tmp_path: Path
) -> None:
    """What is put back refers to connections and secrets over there."""
    other = harness.dump(stores, "backup", tmp_path / "out")
    text = (other / "namespace.json").read_text()
    organization = "org_elsewhere"
    (other / "namespace.json").write_text(
        text.replace(ORGANIZATION, organization)
        .replace('"backup"', '"landing"')
        .replace(_id_of(stores, "backup"), "ns_landing000")
    )
    harness.load(stores, other)
    abroad = BACKUP | {"organization_id": organization}
    harness.clone(stores, NAMESPACE_NAME, "abroad", **abroad)
    with pytest.raises(InvalidRequest, match="restore it into"):
        harness.clone(stores, "abroad", "again", **(RESTORE | {"organization_id": organization}))
    home = RESTORE | {"source_organization_id": organization, "organization_id": ORGANIZATION}
    assert harness.clone(stores, "abroad", "again", **home).status == "ready"


def _id_of(stores: Stores, name: str) -> str:
    with stores.catalog.read() as connection:
        return catalog.resolve(connection, None, name).namespace_id
