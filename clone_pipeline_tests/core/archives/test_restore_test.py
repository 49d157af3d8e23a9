"""The restore test of an archive needs nothing but the archive, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clone_pipeline.core.archives import restore_test, scratch
from clone_pipeline.core.archives.restore_test import choose_archive, run_archive_test
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import InProgress, LeaseLost, NotFound
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.process import Holder
from clone_pipeline.core.restore_test import RestoreTest
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests.cli.prod import COUNTS
from clone_pipeline_tests.core.bundle.samples import rows

from .conftest import World


def restored(world: World, name: str, run_id: str = "a-run") -> RestoreTest:
    with world.stores.catalog.read() as connection:
        archive = choose_archive(connection, None, name)
    assert archive is not None
    return run_archive_test(world.stores, LOCAL_OPERATOR, archive, run_id)


def left(world: World) -> list[str]:
    with world.stores.catalog.read() as connection:
        return [one.name for one in catalog.list_all(connection, None)]


def test_a_good_one_is_told_so_and_nothing_is_left(world: World) -> None:
    world.write("first")
    result = restored(world, "nightly")
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
    assert restored(world, "nightly").good
    assert left(world) == []


def test_a_damaged_one_is_found_and_the_result_kept(world: World) -> None:
    world.write("first")
    part = next((world.folder / "first").glob("objects-*"))
    part.write_bytes(b"x" * part.stat().st_size)
    result = restored(world, "first")
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
    result = restored(world, "first")
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


# ---- killed, and two at once -----------------------------------------------------------------


def during(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Tests `first`, and acts when its namespace is there."""
    search = EmbeddedStore.search

    def searching(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddedStore, "search", search)
            act()
        return search(*given)

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedStore, "search", searching)
        restored(world, "first")


def killed(world: World, monkeypatch: pytest.MonkeyPatch, holder: Holder) -> None:
    """A test by that process, which had no time to clean up."""
    with monkeypatch.context() as patch:
        patch.setattr(scratch.Holder, "current", lambda: holder)
        patch.setattr(scratch, "_give_up", lambda *_: True)
        patch.setattr(EmbeddedStore, "search", _die)
        with pytest.raises(KeyboardInterrupt):
            restored(world, "first", "killed")


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def gone() -> Holder:
    """A process of this host that does not run any more."""
    return replace(Holder.current(), started=-1e9)


def elsewhere() -> Holder:
    return replace(Holder.current(), host="other")


def test_a_second_one_of_the_same_archive_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("first")
    refused: list[str] = []

    def again() -> None:
        with pytest.raises(InProgress) as raised:
            restored(world, "first", "another")
        refused.append(raised.value.message)

    during(world, monkeypatch, again)
    address = f"{world.place}/first"
    assert set(refused) == {
        f"{address} is being restored for a test by another run (a-run); wait for it."
    }
    kept = world.listed()["first"]
    assert kept.restore_test is not None
    assert kept.restore_test["good"] is True
    assert (kept.scratch, kept.tester, left(world)) == (None, None, ["prod"])


def test_a_sweep_leaves_one_alone_that_is_at_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    world.write("second")
    swept: list[Any] = []

    def sweep() -> None:
        swept.append((world.sweep(last=1).removed, left(world)))

    during(world, monkeypatch, sweep)
    assert swept[0] == ([], ["prod", f"restore_test_archive_{made.key}"])


def test_what_a_killed_one_left_goes_with_the_next_test(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    killed(world, monkeypatch, gone())
    assert left(world) == ["prod", f"restore_test_archive_{made.key}"]
    assert restored(world, "first").good
    assert left(world) == ["prod"]


def test_what_a_killed_one_left_is_swept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("first")
    killed(world, monkeypatch, gone())
    world.sweep(last=1)
    assert (left(world), world.listed()["first"].scratch) == (["prod"], None)


def test_one_on_another_host_is_taken_for_dead_after_a_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    killed(world, monkeypatch, elsewhere())
    with pytest.raises(InProgress):
        restored(world, "first")
    world.sweep(last=1)
    assert left(world) == ["prod", f"restore_test_archive_{made.key}"]
    world.go_on(minutes=1)
    assert restored(world, "first").good
    assert left(world) == ["prod"]


def test_the_same_run_goes_on_where_it_was_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("first")
    killed(world, monkeypatch, elsewhere())
    assert restored(world, "first", "killed").good


def test_one_that_was_taken_for_dead_says_so_and_keeps_no_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.write("first")
    other = {"run_id": "other", "host": "other", "pid": 1, "started": 0.0}

    def take() -> None:
        with world.stores.catalog.write() as connection:
            restore_test.records.change(connection, made.key, world.now[0], tester=other)

    with pytest.raises(LeaseLost, match=r"took this test of .*first for dead"):
        during(world, monkeypatch, take)
    kept = world.listed()["first"]
    assert (kept.restore_test, kept.tester) == (None, other)
    assert left(world) == ["prod", f"restore_test_archive_{made.key}"]
