"""A restored backup is the namespace that was backed up, but for what nobody kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.documents import RECORDS
from clone_pipeline.core.difference import differing_fields
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.ledger import Clone
from clone_pipeline.core.references import WAS_SET, Rewriter
from clone_pipeline.core.reinstate import put_back
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline.core.verify.records import read_actual
from clone_pipeline_tests import harness
from clone_pipeline_tests.properties.namespaces import Source, everything
from clone_pipeline_tests.properties.world import NAMESPACE_ID, NAMESPACE_NAME, ORGANIZATION

from .references.examples import identity
from .references.test_properties import FEW, configurations

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}
RESTORE = BACKUP | {"restore": True}
SMALL_KINDS = ("bucket", "collection", "retriever", "taxonomy")


@given(configurations())
@FEW
def test_what_was_cleared_stands_again_where_it_stood(found: tuple[str, dict[str, Any]]) -> None:
    kind, document = found
    cleared, references = Rewriter(identity()).rewrite(kind, document)
    parked = {one.removed: one for one in references if one.parked is not None}
    assume(WAS_SET not in [one.parked for one in parked.values()])
    for path, one in parked.items():
        assert put_back(cleared, str(path), one.parked, one.old)
    assert cleared == document


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"a": {"b": 7}}, "a.b", 8),
        ({"a": [1]}, "a[3]", 8),
        ({"a": [1]}, "a[1].b", 8),
        ({"a": {}}, "a[0]", 8),
        ({"a": None}, "a.b", 8),
        ({}, "a.b.c[0]", 8),
    ],
)
def test_what_has_no_place_any_more_is_left_alone(
    document: dict[str, Any], path: str, value: Any
) -> None:
    before = copy.deepcopy(document)
    assert not put_back(document, path, value)
    assert document == before


def test_a_key_that_was_dropped_with_its_value_comes_back() -> None:
    document: dict[str, Any] = {"field_map": {}}
    assert put_back(document, "field_map.bkt_1", ["title"])
    assert put_back(document, "field_map.{{a.b}}", 1, "{{a.b}}")
    assert document == {"field_map": {"bkt_1": ["title"], "{{a.b}}": 1}}


def test_keys_may_have_dots_and_brackets_in_them() -> None:
    document = {"a": 1, "a.b": {"c[0]": None}, "a.b.d": None}
    assert put_back(document, "a.b.c[0]", "x")
    assert put_back(document, "a.b.d", "y")
    assert document == {"a": 1, "a.b": {"c[0]": "x"}, "a.b.d": "y"}


# ---- whole namespaces ------------------------------------------------------------------------


@pytest.fixture
def source() -> Source:
    return everything()


@pytest.fixture
def stores(tmp_path: Path, source: Source) -> Iterator[Stores]:
    """The source and a backup of it."""
    with harness.open_stores(tmp_path) as made:
        harness.load(made, source.write(tmp_path / "source"))
        harness.clone(made, NAMESPACE_NAME, "backup", **BACKUP)
        yield made


def documents(stores: Stores, name: str) -> dict[str, Any]:
    """Every small resource of a namespace, by kind, id and version. What names the namespace
    itself says NS, and so does what names the source in free text."""
    with stores.catalog.read() as connection:
        found = catalog.resolve(connection, None, name)
        read = {
            f"{kind} {key}": document
            for kind in SMALL_KINDS
            for key, document in read_actual(connection, found.key, kind).items()
        }
    text = json.dumps(read).replace(found.namespace_id, "NS").replace(NAMESPACE_ID, "NS")
    same: dict[str, Any] = json.loads(text)
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


def test_a_restored_backup_has_all_that_its_source_has_but_secrets(stores: Stores) -> None:
    assert len(apart(stores, NAMESPACE_NAME, "backup")) > 10
    restored = harness.clone(stores, "backup", "again", **RESTORE)
    left = apart(stores, NAMESPACE_NAME, "again")
    secrets = by_hand(restored)
    assert secrets
    assert [field for field in left if not any(f": {path} " in field for path in secrets)] == []
    assert restored.status == "ready"
    told = restored.plan["warnings"]
    assert any("values are put back" in sentence for sentence in told)
    assert sum("To be set by hand" in sentence for sentence in told) == len(
        restored.plan["by_hand"]
    )
    assert "hook-secret" not in str(restored.plan)


def test_a_restored_backup_is_proven_now_and_later(stores: Stores) -> None:
    harness.clone(stores, "backup", "again", **RESTORE)
    assert verify_sealed(stores, None, "again").good
    verdict = verify_pair(stores, None, "backup", "again")
    assert verdict.equal, verdict.sentence


def test_a_backup_that_is_only_cloned_stays_quiet(stores: Stores) -> None:
    """To look into it, without two namespaces that act."""
    looked_at = harness.clone(stores, "backup", "look", **BACKUP)
    assert apart(stores, "backup", "look") == set()
    assert looked_at.plan["put_back"] == []


def test_it_takes_the_place_of_what_is_there(stores: Stores) -> None:
    with stores.catalog.read() as connection:
        before = catalog.resolve(connection, None, NAMESPACE_NAME)
    harness.clone(stores, "backup", NAMESPACE_NAME, **RESTORE, if_exists="replace", adopt=True)
    with stores.catalog.read() as connection:
        now = catalog.resolve(connection, None, NAMESPACE_NAME)
    assert now.namespace_id == before.namespace_id
    assert now.generation == before.generation + 1


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
    stores: Stores, name: str, options: dict[str, Any], sentence: str
) -> None:
    harness.clone(stores, NAMESPACE_NAME, "staging")
    with pytest.raises(InvalidRequest, match=sentence):
        harness.clone(stores, name, "again", **(RESTORE | options))
    with stores.catalog.read() as connection:
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
