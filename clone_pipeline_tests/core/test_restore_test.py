"""A restore test says whether a namespace can be made of a backup, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core import restore_test
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import clones, namespaces, objects
from clone_pipeline.core.errors import Conflict, NotFound, StoreUnavailable
from clone_pipeline.core.generations import sweep
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.restore_test import RestoreTest, choose_backup, run_restore_test
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.properties.namespaces import everything
from clone_pipeline_tests.properties.world import NAMESPACE_NAME
from clone_pipeline_tests.sources import Files

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}


def back_up(stores: Stores, name: str, **options: Any) -> Clone:
    options = BACKUP | options
    return harness.clone(stores, NAMESPACE_NAME, name, policy="nightly", **options)


def load_and_back_up(stores: Stores, files: Files, home: Path) -> None:
    harness.load(stores, files)
    back_up(stores, "backup")


@contextmanager
def backed_up_on(catalog_url: str, made: Path, files: Files, home: Path) -> Iterator[Stores]:
    """`made` is what it is on the embedded defaults."""
    embedded = catalog_url.startswith("sqlite")
    if embedded:
        shutil.copytree(made, home, dirs_exist_ok=True)
    with harness.open_stores(home, catalog_url) as stores:
        if not embedded:
            load_and_back_up(stores, files, home)
        yield stores


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("backed_up")
    with harness.open_stores(home) as made:
        load_and_back_up(made, prod(), home)
    return home


@pytest.fixture(scope="module")
def all_backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("all_backed_up")
    with harness.open_stores(home) as made:
        load_and_back_up(made, everything().files, home)
    return home


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str, backed_up: Path) -> Iterator[Stores]:
    """A source and a backup of it for the policy `nightly`."""
    with backed_up_on(catalog_url, backed_up, prod(), tmp_path) as made:
        yield made


@pytest.fixture
def stores_with_all(tmp_path: Path, catalog_url: str, all_backed_up: Path) -> Iterator[Stores]:
    """The same with all that a namespace can have: slow, and much can be put back."""
    with backed_up_on(catalog_url, all_backed_up, everything().files, tmp_path) as made:
        yield made


def run(stores: Stores, identifier: str = "nightly", run_id: str = "12345678-run") -> RestoreTest:
    return run_restore_test(stores, LOCAL_OPERATOR, identifier, run_id, lambda _: None)


def kept(stores: Stores, name: str) -> RestoreTest | None:
    with stores.catalog.read() as connection:
        backup = catalog.resolve(connection, None, name)
        found = ledger.get(connection, str(backup.clone_id)).restore_test
    return None if found is None else RestoreTest.from_json(found)


def names(stores: Stores) -> set[str]:
    """Of all namespaces; the Qdrant collections must be theirs."""
    with stores.catalog.read() as connection:
        rows = connection.execute(select(namespaces)).mappings().all()
        found = [catalog.Namespace.of(row) for row in rows]
        made = connection.execute(select(clones.c.qdrant_collection)).scalars().all()
    theirs = {one.qdrant_collection for one in found}
    with stores.vectors() as vectors:
        assert {name for name in made if vectors.exists(name)} <= theirs
    return {one.name for one in found}


def test_a_good_backup_is_said_to_be_restorable(stores_with_all: Stores) -> None:
    stores = stores_with_all
    result = run(stores)
    assert result.good
    assert (result.backup, result.policy) == ("backup", "nightly")
    assert result.points > 0
    assert result.objects > 0
    assert 0 < result.same_answers <= result.searches
    assert result.put_back > 0
    assert result.by_hand > 0
    assert kept(stores, "backup") == result
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_what_acts_does_not_act_in_the_scratch_namespace(
    stores_with_all: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    drop = restore_test.delete_clone

    def look(stores: Stores, organization_id: str | None, name: str) -> Any:
        with stores.catalog.read() as connection:
            scratch = catalog.resolve(connection, organization_id, name)
            seen.extend(catalog.read_documents(connection, scratch.key, "collection"))
        return drop(stores, organization_id, name)

    monkeypatch.setattr(restore_test, "delete_clone", look)
    assert run(stores_with_all).put_back > 0
    assert seen
    assert not any(collection.get("schedule") for collection in seen)


def test_it_is_no_faster_than_the_backup_was(stores: Stores) -> None:
    back_up(stores, "gentle", max_points_per_second=1000, concurrent_slices=1)
    assert run(stores).backup == "gentle"
    with stores.catalog.read() as connection:
        query = select(clones.c.request).order_by(clones.c.created_at.desc()).limit(1)
        request = connection.execute(query).scalar_one()
    assert (request["max_points_per_second"], request["concurrent_slices"]) == (1000, 1)


def damage_a_point(stores: Stores, name: str) -> None:
    with stores.catalog.read() as connection:
        collection = catalog.resolve(connection, None, name).qdrant_collection
    with stores.vectors() as vectors:
        [point, *_] = vectors.scroll(collection, 1).points
        vectors.upsert(collection, [Point(point.id, point.vectors, {"damaged": True})])


def damage_an_object(stores: Stores, name: str) -> None:
    with stores.catalog.write() as connection:
        key = catalog.resolve(connection, None, name).key
        mine = objects.c.namespace_key == key
        connection.execute(update(objects).where(mine).values(document={}))


@pytest.mark.parametrize("damage", [damage_a_point, damage_an_object])
def test_a_damaged_backup_is_told_and_nothing_is_made_of_it(stores: Stores, damage: Any) -> None:
    damage(stores, "backup")
    result = run(stores)
    assert not result.good
    assert "backup is not what was published" in result.sentence
    assert kept(stores, "backup") == result
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_the_newest_proven_backup_of_a_policy_is_tested(stores: Stores) -> None:
    back_up(stores, "newer")
    back_up(stores, "unproven", verify="counts")
    assert run(stores).backup == "newer"
    assert kept(stores, "backup") is None


def test_a_backup_can_be_named(stores: Stores) -> None:
    back_up(stores, "newer")
    assert run(stores, "backup").backup == "backup"


def test_what_is_no_backup_is_refused(stores: Stores) -> None:
    harness.clone(stores, NAMESPACE_NAME, "staging")
    back_up(stores, "unproven", verify="counts")
    with stores.catalog.write() as connection:
        mine = clones.c.namespace_name == "unproven"
        connection.execute(update(clones).where(mine).values(policy="hourly"))
    for name, error, sentence in (
        ("nothing", NotFound, "no backup 'nothing'"),
        (NAMESPACE_NAME, Conflict, "not made by clone-pipeline"),
        ("staging", Conflict, "without preserve_resource_ids"),
        ("hourly", NotFound, "is proven yet"),
    ):
        with (
            stores.catalog.read() as connection,
            pytest.raises(error, match=sentence),
        ):
            choose_backup(connection, None, name, stores.clock())


def test_a_store_that_is_away_for_a_while_is_no_bad_backup(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = restore_test._search

    def away(*_: Any) -> Any:
        monkeypatch.setattr(restore_test, "_search", search)
        raise StoreUnavailable("Qdrant does not answer.")

    monkeypatch.setattr(restore_test, "_search", away)
    with pytest.raises(StoreUnavailable):
        run(stores)
    assert kept(stores, "backup") is None
    again = run(stores)
    assert again.good
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_a_cancelled_test_takes_its_scratch_namespace_along(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_test, "_search", cancelled)
    with pytest.raises(KeyboardInterrupt):
        run(stores)
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_a_killed_test_leaves_what_the_sweep_takes_away(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published, and killed before it was dropped."""
    monkeypatch.setattr(restore_test, "_drop", lambda *_: None)
    assert run(stores).good
    assert len(names(stores)) == 3
    with stores.catalog.write() as connection:
        scratch = namespaces.c.namespace_name.startswith("restore_test_")
        past = stores.clock() - timedelta(seconds=1)
        connection.execute(update(namespaces).where(scratch).values(expires_at=past))
    plan = sweep.plan_sweep(stores, None, {})
    sweep.run_sweep(stores, None, {}, plan)
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_a_search_that_finds_nothing_is_a_bad_test(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stores.vectors() as vectors:
        kind = type(vectors)
    search = kind.search

    def blind(*_: Any) -> Any:
        return []

    monkeypatch.setattr(kind, "search", blind)
    result = run(stores)
    monkeypatch.setattr(kind, "search", search)
    assert not result.good
    assert "found nothing" in result.sentence
    assert names(stores) == {NAMESPACE_NAME, "backup"}


def test_on_a_real_server_too(tmp_path: Path, qdrant_url: str) -> None:
    address = VectorAddress(folder=tmp_path / "qdrant", url=qdrant_url)
    with harness.open_stores(tmp_path) as embedded:
        catalog_store = embedded.catalog
        stores = Stores(catalog=catalog_store, vector_address=address)
        load_and_back_up(stores, everything().files, tmp_path)
        result = run(stores)
        assert result.good
        assert result.searches > 0
        assert names(stores) == {NAMESPACE_NAME, "backup"}
        damage_a_point(stores, "backup")
        assert not run(stores).good
        with stores.vectors() as vectors, stores.catalog.read() as connection:
            for name in (NAMESPACE_NAME, "backup"):
                vectors.delete(catalog.resolve(connection, None, name).qdrant_collection)
