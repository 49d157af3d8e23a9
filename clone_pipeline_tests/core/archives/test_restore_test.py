"""The restore test of an archive needs nothing but the archive, and leaves nothing."""

from __future__ import annotations

import pytest

from clone_pipeline.core.archives import restore_test, scratch
from clone_pipeline.core.archives.restore_test import choose_archive, run_archive_test
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import NotFound
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.restore_test import RestoreTest
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests.cli.prod import COUNTS
from clone_pipeline_tests.core.bundle.samples import rows

from .conftest import World


def test_of(world: World, name: str) -> RestoreTest:
    with world.stores.catalog.read() as connection:
        archive = choose_archive(connection, None, name)
    assert archive is not None
    return run_archive_test(world.stores, LOCAL_OPERATOR, archive)


test_of.__test__ = False  # type: ignore[attr-defined]


def left(world: World) -> list[str]:
    with world.stores.catalog.read() as connection:
        return [one.name for one in catalog.list_all(connection, None)]


def test_a_good_one_is_told_so_and_nothing_is_left(world: World) -> None:
    world.write("first")
    result = test_of(world, "nightly")
    assert result.good, result.sentence
    assert (result.points, result.objects) == (COUNTS["points"], COUNTS["objects"])
    assert (result.searches, result.same_answers) == (5, 5)
    assert (result.backup, result.policy, result.clone_id) == ("first", "nightly", None)
    assert world.listed()["first"].restore_test == result.to_json()
    assert left(world) == ["prod"]
    assert "loads" not in rows(world.stores.catalog)
    with world.stores.vectors() as vectors:
        assert isinstance(vectors, EmbeddedStore)
        collections = [one.name for one in vectors._client.get_collections().collections]
    assert collections == ["ns_prod000001_store"]


def test_it_needs_nothing_but_the_archive(world: World) -> None:
    world.write("first")
    delete_clone(world.stores, None, "prod", Admitted(loaded=True))
    assert test_of(world, "nightly").good
    assert left(world) == []


def test_a_damaged_one_is_found_and_the_result_kept(world: World) -> None:
    world.write("first")
    part = next((world.folder / "first").glob("objects-*"))
    part.write_bytes(b"x" * part.stat().st_size)
    result = test_of(world, "first")
    assert not result.good
    assert f"{part.name}: is damaged" in result.sentence
    kept = world.listed()["first"]
    assert kept.restore_test is not None
    assert kept.restore_test["good"] is False
    assert kept.scratch is None
    assert left(world) == ["prod"]


def test_one_in_which_nothing_is_found_is_bad(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("first")
    monkeypatch.setattr(EmbeddedStore, "search", lambda *_: [])
    result = test_of(world, "first")
    assert not result.good
    assert "found nothing" in result.sentence
    assert left(world) == ["prod"]


def test_the_newest_that_counts_is_taken(world: World) -> None:
    world.write("first")
    world.write("second")
    with world.stores.catalog.read() as connection:
        found = choose_archive(connection, None, "nightly")
        assert found is not None
        assert found.name == "second"
        assert choose_archive(connection, None, "none") is None
    with world.stores.catalog.write() as connection:
        for one in world.listed().values():
            restore_test.records.change(connection, one.key, world.now[0], proven=False)
    with (
        pytest.raises(NotFound, match="No archive of 'nightly' is proven yet"),
        world.stores.catalog.read() as connection,
    ):
        choose_archive(connection, None, "nightly")


def killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that had no time to clean up."""
    with monkeypatch.context() as patch:
        patch.setattr(restore_test, "_drop", lambda *_: None)
        patch.setattr(EmbeddedStore, "search", _die)
        with pytest.raises(KeyboardInterrupt):
            test_of(world, "first")


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_a_killed_one_left_goes_with_the_next_test(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    killed(world, monkeypatch)
    assert left(world) == ["prod", f"restore_test_archive_{made.key}"]
    assert test_of(world, "first").good
    assert left(world) == ["prod"]


def test_what_a_killed_one_left_is_swept_after_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    killed(world, monkeypatch)
    world.sweep(last=1)
    assert left(world) == ["prod", f"restore_test_archive_{made.key}"]
    world.go_on(days=1, minutes=1)
    world.sweep(last=1)
    assert left(world) == ["prod"]
    assert world.listed()["first"].scratch is None


def test_an_archive_that_is_tested_is_not_swept_meanwhile(world: World) -> None:
    world.write("first")
    world.write("second")
    scratch.begin(world.stores, world.listed()["first"])
    assert world.sweep(last=1).removed == []
