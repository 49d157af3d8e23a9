"""An archive counts when it was read back, and one that was cut off is gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.archives import write
from clone_pipeline.core.archives.write import Wanted
from clone_pipeline.core.bundle.archive import dump, load_archive
from clone_pipeline.core.bundle.archive.folder import FolderPlace
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.errors import BundleError, Conflict, Forbidden, InvalidRequest, NotFound
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.principal import Principal
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import COUNTS, prod
from clone_pipeline_tests.core.bundle.samples import exact, read_bundle

from .conftest import World


def test_it_is_ready_when_it_was_read_back(world: World, tmp_path: Path) -> None:
    made = world.write("first")
    assert (made.status, made.proven, made.policy) == ("ready", True, "nightly")
    assert (made.points, made.objects) == (COUNTS["points"], COUNTS["objects"])
    files = {path.name: path.stat().st_size for path in (world.folder / "first").iterdir()}
    assert made.bytes == sum(files.values()) - files["manifest.json"]
    again = world.write("first")
    assert (again.key, again.run_id) == (made.key, made.run_id)


def test_what_is_lost_on_the_way_is_no_backup(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes a part, and keeps something else."""
    kept = FolderPlace.write

    def damage(self: FolderPlace, name: str, data: Pieces, over: str = "anything") -> str:
        if name.startswith("points-"):
            whole = b"".join(data)
            data = [whole[:-1] + bytes([whole[-1] ^ 1])]
        return kept(self, name, data, over)

    monkeypatch.setattr(FolderPlace, "write", damage)
    with pytest.raises(BundleError, match=r"points-\S+: is damaged"):
        world.write("first")
    made = world.listed()["first"]
    assert (made.status, made.proven) == ("failed", False)
    assert made.error is not None
    assert "is damaged" in made.error


def test_what_is_lost_before_it_is_written_is_no_backup(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every checksum is right then: the digests are not."""
    written = dump.encode_point
    monkeypatch.setattr(
        dump, "encode_point", lambda point, _: written(point._replace(payload={"title": "other"}))
    )
    with pytest.raises(BundleError, match=r"points-\S+: holds other points than"):
        world.write("first")
    assert world.listed()["first"].status == "failed"


@pytest.mark.parametrize("moment", ["points-", "objects-", "manifest.json", "unfinished.json"])
def test_one_that_was_cut_off_is_gone_on_with(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    done = FolderPlace.write

    def die(self: FolderPlace, name: str, data: Pieces, over: str = "anything") -> str:
        version = done(self, name, data, over)
        if name.startswith(moment):
            raise KeyboardInterrupt
        return version

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "write", die)
        with pytest.raises(KeyboardInterrupt):
            world.write("first")
    assert world.listed()["first"].status == "failed"
    made = world.write("first")
    assert (made.status, made.error) == ("ready", None)
    (tmp_path / "empty").mkdir()
    with harness.open_stores(tmp_path / "empty") as stores, stores.vectors() as vectors:
        place = write.open_place(made.address, FilesAddress())
        load_archive(stores, vectors, place)
    with harness.open_stores(tmp_path / "empty") as stores:
        after = read_bundle(harness.dump(stores, "prod", tmp_path / "after"))
    before = read_bundle(harness.dump(world.stores, "prod", tmp_path / "before"))
    assert exact(after) == exact(before)


def test_what_somebody_else_has_there_stays(world: World) -> None:
    folder = world.folder / "first"
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"holds 'precious.txt'"):
        world.write("first")
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


def test_the_place_of_another_namespaces_archive_is_refused(world: World) -> None:
    harness.load(world.stores, prod("ns_other00001", "other"))
    world.write("first")
    with pytest.raises(Conflict, match="had an archive of ns_prod000001 before"):
        world.write("first", source="other")


def test_who_may_not_write_gets_no_secrets(world: World) -> None:
    reader = Principal(None, "read", "key_1")
    with pytest.raises(Forbidden):
        write.archive_namespace(world.stores, Wanted("prod", f"{world.place}/x"), reader, "run-1")
    assert world.listed() == {}


def test_what_cannot_be_archived_is_refused_before_anything_is_noted(world: World) -> None:
    with pytest.raises(NotFound, match="There is no namespace 'none'"):
        world.write("first", source="none")
    with pytest.raises(InvalidRequest, match="of 1 to 64 characters"):
        world.write("x" * 65)
    assert world.listed() == {}
    assert not world.folder.exists()


def test_an_archive_that_was_there_before_is_not_taken_for_its_own(world: World) -> None:
    """Somebody's dump of the same namespace, of another day."""
    place = write.open_place(f"{world.place}/first", FilesAddress())
    with world.stores.catalog.read() as connection:
        key = namespaces.resolve(connection, None, "prod").key
    with world.stores.vectors() as vectors:
        dump.dump_archive(world.stores, vectors, key, place, Meter(world.stores.clock))
    world.go_on(hours=1)
    with pytest.raises(Conflict, match="holds another archive"):
        world.write("first")
    world.go_on(days=8)
    done = world.sweep(last=1)
    assert (done.removed, len(done.kept)) == ([], 1)
    assert (world.folder / "first" / "manifest.json").exists()
