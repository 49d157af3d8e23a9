"""What goes with a clone that owns files: its copies. What stays: every other file there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import Conflict, StoreUnavailable
from clone_pipeline.core.files.store import Files
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import SweepReport, plan_sweep, run_sweep
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_sealed
from clone_pipeline_tests.conftest import S3

from .world import ELSEWHERE, World, of_production


def later(world: World, **time: float) -> Stores:
    clock = world.stores.clock
    return replace(world.stores, clock=lambda: clock() + timedelta(**time))


def swept(world: World, **time: float) -> SweepReport:
    stores = later(world, **time)
    return run_sweep(stores, None, {}, plan_sweep(stores, None, {}))


def test_a_deletion_takes_the_copies_and_no_other_file(world: World) -> None:
    before = world.everything(world.s3)
    other = world.clone("other")
    clone = world.clone()
    world.copies.put(world.folder(clone) + "not ours", b"x")
    delete_clone(world.stores, None, "copy")
    left = world.everything(world.copies)
    assert left.keys() == {world.folder(clone) + "not ours", *kept(world, other)}
    assert world.everything(world.s3) == before
    assert world.rows(clone) == []


def kept(world: World, clone: ledger.Clone) -> set[str]:
    return {key for key in world.copies.everything() if key.startswith(world.folder(clone))}


def test_a_source_that_is_deleted_leaves_the_copies_of_its_clone(world: World) -> None:
    """In both directions: neither takes a file of the other away."""
    first = world.clone("first")
    second = world.clone("second", source="first")
    mine = world.everything(world.copies)
    delete_clone(world.stores, None, "first")
    left = world.everything(world.copies)
    assert left == {key: mine[key] for key in mine if key.startswith(world.folder(second))}
    assert len(left) == 3
    third = world.clone("third", source="second")
    delete_clone(world.stores, None, "third")
    assert world.everything(world.copies) == left
    assert world.rows(first) == world.rows(third) == []


def test_files_that_another_namespace_refers_to_keep_their_clone(world: World) -> None:
    """Also at second hand."""
    world.clone("owner", ttl_seconds=60)
    world.clone("sharing", source="owner", files="share")
    world.clone("too", source="sharing", files="share")
    before = world.everything(world.copies)
    with pytest.raises(Conflict, match="'sharing' refers to the files that were copied for it"):
        delete_clone(world.stores, None, "owner")
    report = swept(world, hours=1)
    assert [entry.generations[0].name for entry in report.removed] == []
    assert any("refers to the files" in entry.why for entry in report.kept)
    delete_clone(world.stores, None, "sharing")
    with pytest.raises(Conflict, match="'too' refers to the files"):
        delete_clone(world.stores, None, "owner")
    assert world.everything(world.copies) == before
    delete_clone(world.stores, None, "too")
    delete_clone(world.stores, None, "owner")
    assert world.everything(world.copies) == {}


def test_each_generation_has_files_of_its_own(world: World) -> None:
    first = world.clone()
    second = world.clone(if_exists="replace")
    third = world.clone(if_exists="replace")
    assert first.plan["target"] | {"x": 0} != third.plan["target"]
    assert [len(kept(world, one)) for one in (first, second, third)] == [3, 3, 3]
    rollback(world.stores, None, "copy")
    rollback(world.stores, None, "copy", 3)
    report = swept(world, hours=2)
    (entry,) = report.removed
    assert entry.owned.files == 3
    assert "with 3 S3 files of its own" in entry.sentence
    assert [len(kept(world, one)) for one in (first, second, third)] == [0, 3, 3]


def test_what_is_left_of_a_failed_clone_is_swept_with_its_files(world: World) -> None:
    clone = world.clone(until="publish_clone")
    upload = world.copies.client.create_multipart_upload(
        Bucket=world.copies.bucket, Key=world.folder(clone) + "half"
    )
    ledger.fail(world.stores, clone.clone_id, str(clone.run_id), "The run died.")
    report = swept(world, days=8)
    assert [entry.rule for entry in report.removed] == ["leftover"]
    assert world.everything(world.copies) == {}
    uploads = world.copies.client.list_multipart_uploads(Bucket=world.copies.bucket)
    assert upload["UploadId"] not in [one["UploadId"] for one in uploads.get("Uploads", [])]


def test_files_are_removed_where_they_were_copied_to_or_not_at_all(world: World) -> None:
    world.clone()
    with pytest.raises(Conflict, match="set S3_ENDPOINT_URL as it was"):
        delete_clone(elsewhere(world), None, "copy")
    delete_clone(world.stores, None, "copy")
    assert world.everything(world.copies) == {}


@pytest.mark.parametrize("other", [{"bucket": "our-own"}, {"prefix": "clone"}, {"bucket": None}])
def test_a_database_that_was_restored_beside_its_own_removes_none_of_its_files(
    other: dict[str, str | None], world: World
) -> None:
    """Its rows are the same, and its settings are its own."""
    clone = world.clone()
    unfinished = world.clone("unfinished", until="publish_clone")
    ledger.fail(world.stores, unfinished.clone_id, str(unfinished.run_id), "The run died.")
    files = replace(world.stores.files, **other)
    beside = replace(world, stores=replace(world.stores, files=files))
    before = world.everything(world.copies)
    with pytest.raises(Conflict, match="may be another one's; if they are not, set CLONE_FILES_B"):
        delete_clone(beside.stores, None, "copy")
    report = swept(beside, days=8)
    assert "may be another one's" in str(report.kept)
    assert report.removed == []
    assert world.everything(world.copies) == before
    delete_clone(world.stores, None, "copy")
    assert kept(world, clone) == set()


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_sweep_takes_a_file_of_the_other_side(
    side: str, tmp_path: Path, s3: S3, copies: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two environments with one bucket and one prefix for copies, each with a copied clone; that of
    the target is a copy of that of the source."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    theirs = FilesAddress(s3.url, bucket=copies.bucket, prefix="clones")
    ends = {side: {"ttl_seconds": 60}}
    with of_production(tmp_path, theirs, s3, copies) as target:
        assert target.stores.elsewhere is not None
        production = replace(target.stores.elsewhere.open("production"), environment="default")
        source = replace(target, stores=production)
        first = source.clone("first", **ends.get("source", {}))
        second = target.clone("second", source="first", **ELSEWHERE, **ends.get("target", {}))
        before = source.everything(s3), source.everything(copies)
        sides = [(source, first, "first"), (target, second, "second")]
        (here, _, _), (there, stays, name) = sides if side == "source" else reversed(sides)
        report = swept(here, hours=2)
        assert ([entry.owned.files for entry in report.removed], report.failed) == ([2], [])
        assert swept(there, hours=2).removed == []
        left = {key: body for key, body in before[1].items() if key in kept(there, stays)}
        assert len(left) == 2
        assert (source.everything(s3), source.everything(copies)) == (before[0], left)
        assert verify_sealed(there.stores, None, name).good


def elsewhere(world: World) -> Stores:
    files = replace(world.stores.files, endpoint_url="http://127.0.0.1:1")
    return replace(world.stores, files=files)


def test_nothing_is_marked_where_the_object_store_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("The object store is away.")

    world.clone()
    with monkeypatch.context() as patched:
        patched.setattr(Files, "region", away)
        with pytest.raises(StoreUnavailable):
            delete_clone(world.stores, None, "copy")
    with world.stores.catalog.read() as connection:
        assert catalog.resolve(connection, None, "copy").is_ready


def test_a_clone_whose_bucket_is_gone_can_be_deleted(world: World) -> None:
    clone = world.clone()
    for key in world.copies.everything():
        world.copies.client.delete_object(Bucket=world.copies.bucket, Key=key)
    world.copies.client.delete_bucket(Bucket=world.copies.bucket)
    delete_clone(world.stores, None, "copy")
    assert world.rows(clone) == []
    world.copies.client.create_bucket(Bucket=world.copies.bucket)


def test_a_discard_that_stops_half_way_can_be_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = world.clone(until="publish_clone")
    ledger.fail(world.stores, clone.clone_id, str(clone.run_id), "The run died.")
    remove = Files.remove

    def half(self: Files, bucket: str, keys: Iterable[str]) -> int:
        remove(self, bucket, list(keys)[:1])
        raise StoreUnavailable("The object store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(Files, "remove", half)
        with pytest.raises(StoreUnavailable):
            discard(world.stores, clone)
    assert len(kept(world, clone)) == 2
    assert world.clone().clone_id == clone.clone_id
    assert len(kept(world, clone)) == 3


def test_a_restored_backup_shares_the_backups_files_or_has_its_own(world: World) -> None:
    kept_ids = {"preserve_resource_ids": True}
    world.clone("backup", **kept_ids)
    own = world.clone("own", source="backup", restore=True, **kept_ids)
    shared = world.clone("shared", source="backup", restore=True, files="share", **kept_ids)
    with pytest.raises(Conflict, match="'shared' refers to the files"):
        delete_clone(world.stores, None, "backup")
    delete_clone(world.stores, None, "shared")
    delete_clone(world.stores, None, "backup")
    assert set(world.everything(world.copies)) == kept(world, own)
    assert shared.files_of is not None


def test_a_discarded_clone_of_which_nothing_was_copied_needs_no_object_store(
    world: World,
) -> None:
    clone = world.clone(until="clone_config")
    ledger.fail(world.stores, clone.clone_id, str(clone.run_id), "The run died.")
    discard(elsewhere(world), clone)
    with world.stores.catalog.read() as connection:
        assert ledger.get(connection, clone.clone_id).status == "discarded"
