"""A policy's backup that begins with the one before: exactly what has changed is written, and the
one before stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from clone_pipeline.core.catalog.schema import clone_digests
from clone_pipeline.core.errors import InProgress, InvalidRequest, WorkError
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule, SweepReport, plan_sweep, run_sweep
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.outputs import Proof
from clone_pipeline.core.points import collection as made
from clone_pipeline.core.points import delta
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ... import harness
from ..verify.making import SOURCE, Making
from ..verify.many import ONE_SEGMENT, assert_equal, point, stores_with
from .refreshing import assert_exact, changes, collection, delete, report, small, write, written
from .test_delta import Broken, breaking_at, finish, now

__all__ = ["small", "written"]  # fixtures

pytestmark = pytest.mark.outside

POINTS = 600
NIGHTLY = "nightly"
OPTIONS: dict[str, Any] = {
    "policy": NIGHTLY,
    "preserve_resource_ids": True,
    "include_resources": harness.everything(),
}


def own(number: int, title: str = "") -> Point:
    """A point whose payload does not name its namespace."""
    one = point(number)
    internal = {
        key: value for key, value in one.payload["_internal"].items() if key != "namespace_id"
    }
    payload = {**one.payload, "_internal": internal}
    return one._replace(payload={**payload, "title": title or payload["title"]})


@contextmanager
def only_reading(url: str, home: Path, make: Any = own, **config: Any) -> Iterator[Stores]:
    """A source that is only to be read, so that points are not copied natively."""
    with stores_with(url, home, POINTS, make, **ONE_SEGMENT, **config) as stores:
        address = replace(stores.vector_address, source_api_key="key-that-reads")
        yield replace(stores, vector_address=address)


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path, small: None) -> Iterator[Stores]:
    """A source, and the first backup of it."""
    with only_reading(qdrant_url, tmp_path) as stores:
        assert backup(stores, "b1").plan["lane"] == "stream"
        yield stores


def backup(stores: Stores, name: str, **options: Any) -> Clone:
    return harness.clone(stores, SOURCE, name, **{**OPTIONS, **options})


def begun(stores: Stores, name: str, until: str = "copy_points") -> Making:
    return Making(stores, backup(stores, name, until=until))


def with_digests(stores: Stores) -> set[str]:
    with stores.catalog.read() as connection:
        return set(connection.execute(select(clone_digests.c.clone_id)).scalars())


def assert_as_sealed(stores: Stores, name: str) -> None:
    assert verify_sealed(stores, None, name).unchanged is True


# ---- what is written -------------------------------------------------------------------------


def test_exactly_what_has_changed_since_the_backup_before_is_written(
    stores: Stores, written: dict[str, list[PointId]]
) -> None:
    new, changed = [own(POINTS), own(POINTS + 1)], [own(7, "changed"), own(9, "changed")]
    gone = [own(number).id for number in (0, 250, POINTS - 1)]
    write(stores, [*new, *changed])
    delete(stores, gone)
    written.clear()

    clone = backup(stores, "b2")

    name = clone.qdrant_collection
    assert written.keys() == {name, f"-{name}"}
    assert sorted(map(str, written[name])) == sorted(str(one.id) for one in [*new, *changed])
    deleted = [*gone, *(one.id for one in changed)]
    assert sorted(map(str, written[f"-{name}"])) == sorted(map(str, deleted))
    assert changes(stores, clone) == (2, 2, 3, POINTS - 5)
    assert_exact(stores, clone)
    assert Proof.of(report(stores, clone, "verify_clone")).proven == "full"
    assert verify_pair(stores, None, SOURCE, "b2").equal is True
    assert_as_sealed(stores, "b1")


def test_the_plan_names_the_backup_that_it_begins_with(stores: Stores) -> None:
    clone = backup(stores, "b2")
    assert (clone.plan["lane"], clone.plan["lane_reason"]) == (
        "delta",
        "the backup 'b1' was proven, and nobody has written to it since",
    )
    assert changes(stores, clone) == (0, 0, 0, POINTS)
    # By hand it is no backup, and begins with nothing.
    with pytest.raises(InvalidRequest, match="no proven backup of its policy"):
        backup(stores, "by_hand", policy=None, lane="delta")


@pytest.mark.long
def test_each_of_several_backups_begins_with_the_last_one_which_alone_keeps_digests(
    stores: Stores,
) -> None:
    for round in range(2, 5):
        write(stores, [own(round * 20 + number, f"round {round}") for number in range(6)])
        clone = backup(stores, f"b{round}")
        assert clone.plan["lane_reason"].startswith(f"the backup 'b{round - 1}' was proven")
        assert changes(stores, clone) == (0, 6, 0, POINTS - 6)
        assert_exact(stores, clone)
        assert with_digests(stores) == {clone.clone_id}
    for round in range(1, 5):
        assert_as_sealed(stores, f"b{round}")


def test_without_digests_the_copy_is_read_beside_the_source(stores: Stores) -> None:
    with stores.catalog.write() as connection:
        connection.execute(delete_rows(clone_digests))
    write(stores, [own(3, "changed"), own(POINTS)])
    clone = backup(stores, "b2")
    assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (1, 1, 0, POINTS - 1))
    assert_exact(stores, clone)


def test_what_can_be_copied_natively_is_and_keeps_no_digests(stores: Stores) -> None:
    address = replace(stores.vector_address, source_api_key=None)
    with_all_rights = replace(stores, vector_address=address)
    assert backup(with_all_rights, "b2").plan["lane"] == "native"
    assert with_digests(stores) == set()
    # It can be begun with all the same.
    clone = backup(stores, "b3")
    assert clone.plan["lane_reason"].startswith("the backup 'b2' was proven")
    assert_exact(stores, clone)


# ---- when it is not possible, or not worth it ------------------------------------------------


def test_a_backup_whose_payloads_name_its_namespace_is_streamed(
    qdrant_url: str, tmp_path: Path, small: None
) -> None:
    """As each would differ from the one before: one point that does is enough."""

    def make(number: int) -> Point:
        return point(number) if number == 5 else own(number)

    with only_reading(qdrant_url, tmp_path, make) as stores:
        backup(stores, "b1")
        clone = backup(stores, "b2")
        assert clone.plan["lane"] == "stream"
        assert clone.plan["lane_reason"].endswith(
            "; and not delta, because payloads of the backup 'b1' name its namespace, where each "
            "backup names its own"
        )
        assert_exact(stores, clone)
        assert clone.seal is not None
        with stores.catalog.read() as connection:
            kept = select(clone_digests.c.slice).where(clone_digests.c.clone_id == clone.clone_id)
            slices = connection.execute(kept).all()
        # None of that slice: the next backup would have no use for them.
        assert len(slices) == len(clone.seal["points"]["slices"] or []) - 1


def test_a_server_that_does_not_count_such_payloads_leads_to_the_stream(
    qdrant_url: str, tmp_path: Path, small: None
) -> None:
    strict = {"enabled": True, "unindexed_filtering_retrieve": False}
    with only_reading(qdrant_url, tmp_path, strict_mode_config=strict) as stores:
        backup(stores, "b1")
        clone = backup(stores, "b2")
        assert clone.plan["lane"] == "stream"
        reason = "the server does not count which payloads of the backup 'b1' name its namespace"
        assert clone.plan["lane_reason"].endswith(reason)


def test_a_backup_of_another_policy_or_of_another_content_is_no_base(stores: Stores) -> None:
    assert "not delta" not in backup(stores, "other", policy="weekly").plan["lane_reason"]
    less = backup(stores, "less", include_resources={"collections": True})
    assert less.plan["lane_reason"].endswith(
        "the backup 'b1' was made of another source, or with other options"
    )


def test_with_too_much_changed_all_points_are_streamed_after_all(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "FEW", 50)
    write(stores, [own(number, "changed") for number in range(61)])
    clone = backup(stores, "b2")
    assert clone.plan["lane"] == "stream"
    assert "more than 10% of the points have changed since the backup 'b1' was made" in str(
        clone.plan["lane_reason"]
    )
    assert_exact(stores, clone)
    assert_as_sealed(stores, "b1")


def test_a_backup_that_was_written_to_is_no_base(stores: Stores) -> None:
    write(stores, [own(5, "tampered with")], "b1")
    clone = backup(stores, "b2")
    reason = "the backup 'b1' was written to or deleted since it was proven"
    assert (clone.plan["lane"], reason in clone.plan["lane_reason"]) == ("stream", True)
    assert_exact(stores, clone)


def test_a_backup_that_was_tampered_with_unseen_is_put_right_in_the_next_one_by_its_proof(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a broken disk: a bit is another, and no write is told."""
    before = collection(stores, "b1")
    with stores.vectors() as vectors:
        told = vectors.last_write(before)
    write(stores, [own(5, "tampered with")], "b1")
    inner = ServerStore.last_write

    def silent(self: ServerStore, name: str) -> str | None:
        return told if name == before else inner(self, name)

    monkeypatch.setattr(ServerStore, "last_write", silent)
    clone = backup(stores, "b2")
    assert (clone.plan["lane"], clone.status) == ("delta", "ready")
    assert_equal(Making(stores, clone))
    details = report(stores, clone, "verify_clone").details
    assert {one["id"] for one in details["differences_first"]} == {"5"}
    # Written to while it was proven, it is no base of another.
    assert "was not proven point by point at rest" in backup(stores, "b3").plan["lane_reason"]


# ---- while a backup is made of another one ---------------------------------------------------


def sweep(stores: Stores, last: int = 1) -> SweepReport:
    rules = {NIGHTLY: BackupRule(Keep(last=last), timezone.utc, SOURCE)}
    return run_sweep(stores, None, rules, plan_sweep(stores, None, rules))


def removed(swept: SweepReport) -> set[str]:
    return {one.name for entry in swept.removed for one in entry.generations}


@pytest.mark.long
def test_what_a_backup_begins_with_is_not_removed_meanwhile(stores: Stores) -> None:
    making = begun(stores, "b2")
    # Made by hand meanwhile, so that `keep` would let the first one go.
    backup(stores, "b2a")
    swept = sweep(stores)
    assert removed(swept) == set()
    [why] = [one.why for one in swept.kept if one.generations[0].name == "b1"]
    assert "in use" in why
    with pytest.raises(InProgress, match=r"'b1' is in use by the run .*, which makes 'b2'"):
        delete_clone(stores, None, "b1", Admitted(last_backup=True))

    finish(making)
    clone = now(making)
    assert clone.plan["lane"] == "delta"
    assert_exact(stores, clone)
    assert removed(sweep(stores, 2)) == {"b1"}
    # The next one begins with the last one.
    assert backup(stores, "b3").plan["lane"] == "delta"


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_what_a_backup_begins_with_and_is_gone_all_the_same_leads_to_the_stream(
    moment: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, inner = collection(stores, "b1"), made._copy_inside

    def vanish() -> None:
        with stores.vectors() as vectors:
            vectors.delete(before)

    def copying(*parties: Any) -> Any:
        if moment != "after":
            vanish()
        if moment == "while":
            raise WorkError("The server has lost the shard.")
        copied = inner(*parties)
        vanish()
        return copied

    write(stores, [own(5, "changed")])
    making = begun(stores, "b2")
    monkeypatch.setattr(made, "_copy_inside", copying)
    finish(making)
    clone = now(making)
    assert clone.plan["lane"] == "stream"
    assert clone.plan["lane_reason"].startswith("begun as delta and given up, because the backup")
    assert_exact(stores, clone)


def test_a_copy_that_fails_though_the_backup_is_there_fails_the_run_and_can_be_resumed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copying(*_: Any) -> Any:
        raise WorkError("The server does not copy now.")

    making = begun(stores, "b2")
    with monkeypatch.context() as patch:
        patch.setattr(made, "_copy_inside", copying)
        with pytest.raises(WorkError, match="does not copy now"):
            making.step("copy_points")
    finish(making)
    assert now(making).plan["lane"] == "delta"
    assert_exact(stores, now(making))


@pytest.mark.parametrize("at", [1, 3])
def test_one_that_breaks_off_goes_on_where_it_was_and_leaves_the_one_before_whole(
    at: int, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stores, [own(number, "changed") for number in range(0, POINTS, 25)])
    making = begun(stores, "b2")
    with monkeypatch.context() as patch:
        patch.setattr(delta, "store_slice", breaking_at(at, delta.store_slice))
        patch.setattr(delta, "workers", lambda *_: 1)
        patch.setattr(delta, "_BATCH", 5)
        with pytest.raises(Broken):
            making.step("copy_points")
    assert_as_sealed(stores, "b1")
    finish(making)
    clone = now(making)
    assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (0, 24, 0, POINTS - 24))
    assert_exact(stores, clone)
    assert_as_sealed(stores, "b1")
