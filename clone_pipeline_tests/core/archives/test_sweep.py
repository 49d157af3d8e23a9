"""Archives go by the rules of all backups; and of a place only what a manifest lists."""

from __future__ import annotations

import pytest

from clone_pipeline.core.archives import records
from clone_pipeline.core.bundle.archive.folder import FolderPlace
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.errors import BundleError, StoreUnavailable
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod

from .conftest import World


def there(world: World) -> list[str]:
    return sorted(path.name for path in world.folder.iterdir())


def night(world: World, count: int) -> None:
    for number in range(count):
        world.write(f"night_{number}")
        world.go_on(days=1)


def test_the_newest_stay_and_the_others_go_with_their_folders(world: World) -> None:
    night(world, 4)
    done = world.sweep(daily=2)
    assert [entry.archive.name for entry in done.removed] == ["night_0", "night_1"]
    assert there(world) == ["night_2", "night_3"]
    assert world.listed()["night_0"].status == "removed"
    assert world.sweep(daily=2).removed == []


def test_the_last_proven_one_stays_whatever_the_counts_are(world: World) -> None:
    night(world, 2)
    with world.stores.catalog.write() as connection:
        key = world.listed()["night_1"].key
        records.change(connection, key, world.now[0], proven=False)
    done = world.sweep(last=1)
    assert done.removed == []
    reasons = {entry.archive.name: entry.why for entry in done.kept}
    assert "the last proven backup" in reasons["night_0"]


def test_a_policy_that_is_not_in_the_file_loses_nothing(world: World) -> None:
    night(world, 2)
    done = world.sweep(policy="other", last=1)
    assert (done.removed, len(done.kept)) == ([], 2)
    assert there(world) == ["night_0", "night_1"]


def test_archives_of_another_source_stay(world: World) -> None:
    night(world, 2)
    harness.load(world.stores, prod("ns_other00001", "other"))
    done = world.sweep(source="other", last=1)
    assert done.removed == []
    assert all("not the policy's source any more" in entry.why for entry in done.kept)


def test_what_nobody_asked_for_by_a_policy_stays(world: World) -> None:
    world.write("by_hand", policy=None)
    night(world, 2)
    world.sweep(last=1)
    assert there(world) == ["by_hand", "night_1"]


def test_what_lies_beside_the_parts_stays(world: World) -> None:
    night(world, 2)
    (world.folder / "night_0" / "notes.txt").write_text("mine")
    part = next((world.folder / "night_1").glob("points-*"))
    (world.folder / "night_0" / f"points-00009-00000-{'0' * 12}.jsonl.zst").write_bytes(
        part.read_bytes()
    )
    world.sweep(last=1)
    left = sorted(path.name for path in (world.folder / "night_0").iterdir())
    assert left == ["notes.txt", f"points-00009-00000-{'0' * 12}.jsonl.zst"]


def test_another_archive_in_its_place_stays(world: World) -> None:
    night(world, 2)
    manifest = world.folder / "night_0" / "manifest.json"
    manifest.write_bytes((world.folder / "night_1" / "manifest.json").read_bytes())
    before = sorted((world.folder / "night_0").iterdir())
    done = world.sweep(last=1)
    assert done.removed == []
    assert any("holds another archive" in entry.why for entry in done.kept)
    assert sorted((world.folder / "night_0").iterdir()) == before


def test_a_removal_that_was_cut_off_is_finished_by_the_next_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(world, 2)
    kept, left = FolderPlace.remove, [2]

    def die(self: FolderPlace, name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StoreUnavailable("It is away.")
        kept(self, name)

    with monkeypatch.context() as patch:
        patch.setattr("clone_pipeline.core.archives.sweep.Retry", lambda _: _once)
        patch.setattr(FolderPlace, "remove", die)
        failed = world.sweep(last=1).failed
    assert [entry.archive.name for entry in failed] == ["night_0"]
    assert world.listed()["night_0"].status == "removing"
    assert (world.folder / "night_0" / "manifest.json").exists()
    done = world.sweep(last=1)
    assert [entry.archive.name for entry in done.removed] == ["night_0"]
    assert there(world) == ["night_1"]


def _once(operation: object) -> object:
    return operation()  # type: ignore[operator]


def test_what_was_cut_off_goes_after_a_week_with_its_notes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = FolderPlace.write

    def die(self: FolderPlace, name: str, data: Pieces, over: str = "anything") -> str:
        if name == "manifest.json":
            raise KeyboardInterrupt
        return kept(self, name, data, over)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "write", die)
        with pytest.raises(KeyboardInterrupt):
            world.write("half")
    (world.folder / "half" / "notes.txt").write_text("mine")
    world.go_on(days=6)
    assert world.sweep(last=1).removed == []
    world.go_on(days=2)
    assert [entry.archive.name for entry in world.sweep(last=1).removed] == ["half"]
    assert [path.name for path in (world.folder / "half").iterdir()] == ["notes.txt"]


def test_a_damaged_one_that_never_counted_goes_after_a_week(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BundleError("is damaged", "points-x")

    with monkeypatch.context() as patch:
        patch.setattr("clone_pipeline.core.archives.write.read_back", refuse)
        with pytest.raises(BundleError):
            world.write("bad")
    assert (world.folder / "bad" / "manifest.json").exists()
    world.go_on(days=8)
    assert [entry.archive.name for entry in world.sweep(last=1).removed] == ["bad"]
    assert there(world) == []


def test_the_ledger_forgets_what_is_long_gone(world: World) -> None:
    night(world, 2)
    world.sweep(last=1)
    assert "night_0" in world.listed()
    world.go_on(days=91)
    world.sweep(last=1)
    assert list(world.listed()) == ["night_1"]


def test_one_that_somebody_has_removed_already_keeps_no_other(world: World) -> None:
    night(world, 3)
    folder = world.folder / "night_0"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    done = world.sweep(last=1)
    assert [entry.archive.name for entry in done.removed] == ["night_0", "night_1"]
    assert there(world) == ["night_2"]
