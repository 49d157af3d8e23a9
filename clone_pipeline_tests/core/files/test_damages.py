"""A copy that is not what its source has is found, named, and made again once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clone_pipeline.core.errors import VerificationFailed, WorkError
from clone_pipeline.core.files.refusals import Refused
from clone_pipeline.core.files.store import Files
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.verify import verify_pair, verify_sealed

from .world import World

BODY = b"12345"


def key_of(world: World, clone: ledger.Clone, name: str = "day 1/one ? %.mp4") -> str:
    return f"{world.folder(clone)}{world.s3.bucket}/{name}"


def put(body: bytes) -> Callable[[World, str], None]:
    return lambda world, key: world.copies.put(key, body) and None


def remove(world: World, key: str) -> None:
    world.copies.client.delete_object(Bucket=world.copies.bucket, Key=key)


DAMAGES = {
    "has 3 bytes and not 5": put(BODY[:3]),
    "holds other bytes than were written": put(b"54321"),
    "is missing": remove,
}


@pytest.mark.parametrize(("problem", "damage"), DAMAGES.items(), ids=DAMAGES.keys())
def test_a_damaged_copy_is_named_and_made_again(
    problem: str, damage: Callable[[World, str], None], world: World
) -> None:
    clone = world.clone(until="verify_clone")
    key = key_of(world, clone)
    damage(world, key)
    report = world.step(clone, "verify_clone")
    location = f"s3://{world.s3.bucket}/day 1/one ? %.mp4"
    (difference,) = report.details["differences_first"]
    assert (difference["kind"], difference["id"]) == ("file", location)
    assert problem in difference["field"]
    assert report.details["files_damaged"] == 1
    assert report.details["repaired"] == 1
    assert world.everything(world.copies)[key] == BODY
    world.step(clone, "publish_clone")
    assert verify_sealed(world.stores, None, "copy").unchanged


def test_a_copy_that_stays_damaged_fails_the_proof_with_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that writes other bytes than it was told, and says that all is well."""
    clone = world.clone(until="copy_files")
    copy = Files.copy

    def lies(self: Files, bucket: str, key: str, source: Any, etag: str) -> Any:
        written = copy(self, bucket, key, source, etag)
        if key.endswith("two.mp4"):
            answer = self._client.put_object(Bucket=bucket, Key=key, Body=b"xyz")
            return {"ETag": answer["ETag"]}
        return written

    monkeypatch.setattr(Files, "copy", lies)
    world.step(clone, "copy_files")
    with pytest.raises(VerificationFailed, match=r"two\.mp4: holds other bytes than its source"):
        world.step(clone, "verify_clone")


def test_files_that_only_a_repair_brings_are_copied_too(world: World) -> None:
    """An object that came after the copy, and that the proof puts into the clone."""
    from sqlalchemy import update

    from clone_pipeline.core.catalog.schema import objects

    clone = world.clone(until="verify_clone")
    late = world.s3.put("late.mp4", b"late")
    one = objects.c.object_id == "obj_1"
    document = {"blobs": [{"properties": {"url": late}}]}
    with world.stores.catalog.write() as connection:
        connection.execute(update(objects).where(one).values(document=document))
        mine = (one, objects.c.namespace_key == clone.namespace_key)
        connection.execute(update(objects).where(*mine).values(document={"blobs": []}))
    world.step(clone, "verify_clone")
    assert world.everything(world.copies)[key_of(world, clone, "late.mp4")] == b"late"
    world.step(clone, "publish_clone")
    assert verify_pair(world.stores, None, "prod", "copy").equal


def test_a_file_that_is_refused_fails_the_step_after_all_others_are_copied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(inner: Callable[..., Any]) -> Callable[..., Any]:
        def refuses(self: Files, bucket: str, key: str, *more: int) -> Any:
            if bucket == world.s3.bucket and key == "two.mp4":
                raise Refused("403")
            return inner(self, bucket, key, *more)

        return refuses

    with monkeypatch.context() as patched:
        for name in ("look", "read_first"):
            patched.setattr(Files, name, refusing(getattr(Files, name)))
        with pytest.raises(WorkError, match=r"1 of 4 files could not .*two.mp4 .the store answers"):
            world.clone()
    assert len(world.everything(world.copies)) == 2
    clone = world.clone()
    assert clone.status == "ready"
    assert len(world.everything(world.copies)) == 3


@pytest.mark.parametrize(("problem", "damage"), DAMAGES.items(), ids=DAMAGES.keys())
def test_a_published_copy_that_was_damaged_later_is_found(
    problem: str, damage: Callable[[World, str], None], world: World
) -> None:
    clone = world.clone()
    assert verify_sealed(world.stores, None, "copy").good
    damage(world, key_of(world, clone))
    verdict = verify_sealed(world.stores, None, "copy")
    assert verdict.changed_parts == ["files"]
    assert problem in str(verdict.differences.to_json())


def test_a_source_whose_file_is_another_one_by_now_is_no_damage(world: World) -> None:
    clone = world.clone()
    world.s3.put("two.mp4", b"another")
    assert verify_pair(world.stores, None, "prod", "copy").equal
    assert world.everything(world.copies)[key_of(world, clone, "two.mp4")] == b"123"


def test_only_a_sample_is_read_back_where_only_that_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clone_pipeline.core.files import step

    monkeypatch.setattr(step, "SAMPLED_FILES", 1)
    proven = {
        verify: world.reports(world.clone(verify, verify=verify))["verify_clone"].details[
            "files_proven"
        ]
        for verify in ("sample", "counts")
    }
    assert (proven["sample"]["size"], proven["counts"]["size"]) == (2, 3)
