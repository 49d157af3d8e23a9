"""A refresh whose source nobody has written to since what is live was proven reads no point; and
one of which that only seems so is as exact as any other."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from clone_pipeline.cli.output import print_summary
from clone_pipeline.core import steps
from clone_pipeline.core.catalog.schema import clone_digests
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.history import read_history
from clone_pipeline.core.ledger.watch import policy_records
from clone_pipeline.core.outputs import Proof, Published
from clone_pipeline.core.plan import measure
from clone_pipeline.core.points import quiet as points_quiet
from clone_pipeline.core.refresh import quiet
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import step, verify_pair, verify_sealed
from clone_pipeline.defs.checks import equality_evaluation
from clone_pipeline.defs.metadata import summary_materialization
from clone_pipeline.html_report.render import render

from ... import harness
from ...faults.place import wait_until
from ..points.refreshing import (
    POINTS,
    assert_exact,
    changes,
    collection,
    refresh,
    report,
    small,
    stores,
    tamper_unseen,
    with_title,
    with_vector,
    write,
    written,
)
from ..verify.making import NAME, SOURCE, Making
from ..verify.many import ONE_SEGMENT, point, stores_with
from .test_unchanged import collections, generations, is_unchanged, live

pytestmark = pytest.mark.outside

__all__ = ["small", "stores", "written"]  # fixtures


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of which collections pages were read."""
    found: list[str] = []
    inner = ServerStore.read

    def noting(self: ServerStore, name: str, *rest: Any) -> Any:
        found.append(name)
        return inner(self, name, *rest)

    monkeypatch.setattr(ServerStore, "read", noting)
    return found


def left_alone(stores: Stores, clone: Clone) -> bool:
    return Published.of(report(stores, clone, "publish_clone")).quiet_since is not None


def test_no_point_is_read_and_nothing_is_made(
    stores: Stores, pages: list[str], written: dict[str, list[PointId]]
) -> None:
    there, before = collections(stores), live(stores)
    pages.clear()
    clone = refresh(stores)
    assert (is_unchanged(stores, clone), left_alone(stores, clone)) == (True, True)
    # One of a hundred points, by which the plan tells how large they are.
    assert (pages, written) == ([collection(stores, SOURCE)], {})
    assert changes(stores, clone) == (0, 0, 0, POINTS)
    assert (collections(stores), generations(stores)) == (there, [(1, "live")])
    assert (live(stores).key, live(stores).clone_id) == (before.key, clone.clone_id)
    assert clone.response is not None
    assert clone.response["cloned_resources"]["points"] == POINTS
    assert verify_sealed(stores, None, NAME).unchanged is True
    assert verify_pair(stores, None, SOURCE, NAME).equal is True


def test_it_says_when_the_points_were_proven(stores: Stores) -> None:
    first = report(stores, ledger_of(stores, str(live(stores).clone_id)), "verify_clone")
    read = Proof.of(first).source
    assert read is not None
    for _ in range(3):
        published = Published.of(report(stores, refresh(stores), "publish_clone"))
        assert published.quiet_since == read["read_at"]
        assert f"since {read['read_at'][:16]}".replace("T", " ") in published.why_nothing()


def test_whatever_tells_of_the_proof_dates_it(
    stores: Stores, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = step.as_read

    def two_days_ago(*parties: Any) -> Any:
        *others, now = parties
        return inner(*others, now - timedelta(days=2))

    monkeypatch.setattr(step, "as_read", two_days_ago)
    write(stores, [with_title(1)])
    refresh(stores, policy="nightly")
    clone = refresh(stores, policy="nightly")
    made = report(stores, clone, "publish_clone")
    proven_at = Published.of(made).read_at
    assert proven_at is not None
    said = f"{proven_at:%Y-%m-%d %H:%M} UTC"
    with stores.catalog.read() as connection:
        (record,) = policy_records(connection, None)
        history = read_history(connection, None, "nightly")
    assert record.proven_at == proven_at
    assert record.succeeded_at is not None
    assert record.succeeded_at > proven_at
    check = equality_evaluation(made)
    assert (check.passed, said in str(check.metadata["sentence"].value)) == (True, True)
    metadata = summary_materialization(made).metadata
    assert metadata["points_proven_at"].value == proven_at.isoformat()
    page = render(history, stores.clock())
    assert page.count(said) == 3  # at its head, in the list of runs, and where the proof is
    assert clone.response is not None
    print_summary(clone.response, Published.of(made), [], restored=False, replaced=None)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"nobody had written to the source since {said}" in shown
    assert f"Proven: full, at {said}" in shown


def ledger_of(stores: Stores, clone_id: str) -> Clone:
    with stores.catalog.read() as connection:
        return ledger.get(connection, clone_id)


def test_the_next_change_is_found_by_what_is_kept_of_the_points(
    stores: Stores, pages: list[str]
) -> None:
    quiet_one = refresh(stores)
    with stores.catalog.read() as connection:
        owners = set(connection.execute(select(clone_digests.c.clone_id)).scalars())
    assert owners == {quiet_one.clone_id}
    write(stores, [with_title(4)])
    pages.clear()
    base = collection(stores, NAME)
    clone = refresh(stores)
    assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (0, 1, 0, POINTS - 1))
    assert base not in pages
    assert_exact(stores, clone)
    # What had changed by then is no change of the next one.
    again = refresh(stores)
    assert (left_alone(stores, again), changes(stores, again)) == (True, (0, 0, 0, POINTS))


def _without_namespace(number: int) -> Point:
    one = point(number)
    internal = {
        key: value for key, value in one.payload["_internal"].items() if key != "namespace_id"
    }
    return one._replace(payload={**one.payload, "_internal": internal})


def test_what_would_be_copied_natively_is_left_alone_too(
    qdrant_url: str, tmp_path: Path, small: None
) -> None:
    """A native copy costs more."""
    kept = {**_everything(), "preserve_resource_ids": True}
    with stores_with(qdrant_url, tmp_path, POINTS, _without_namespace, **ONE_SEGMENT) as stores:
        lanes = []
        other = _without_namespace(4)._replace(vectors=with_vector(4).vectors)
        for changed in ([], [], [other], []):
            write(stores, changed)
            clone = harness.clone(stores, SOURCE, NAME, **kept)
            lanes.append((clone.plan["lane"], left_alone(stores, clone)))
            assert verify_pair(stores, None, SOURCE, NAME).equal is True
    assert lanes == [("native", False), ("delta", True), ("native", False), ("delta", True)]


def test_points_that_were_asked_to_be_copied_natively_are_rewritten_by_the_next_refresh(
    qdrant_url: str, tmp_path: Path, small: None
) -> None:
    """They name the source's namespace; what would be left alone would keep that."""
    kept = {**_everything(), "preserve_resource_ids": True}
    with stores_with(qdrant_url, tmp_path, POINTS, **ONE_SEGMENT) as stores:
        harness.clone(stores, SOURCE, NAME, **kept, lane="native")
        clone = harness.clone(stores, SOURCE, NAME, **kept)
        assert not left_alone(stores, clone)
        assert_exact(stores, clone)


def test_what_is_to_be_proven_by_less_is_not_left_alone(stores: Stores) -> None:
    clone = refresh(stores, verify="sample")
    assert not left_alone(stores, clone)
    assert_exact(stores, clone)


def test_ids_that_stayed_are_told_of_again(stores: Stores) -> None:
    first = report(stores, ledger_of(stores, str(live(stores).clone_id)), "verify_clone")
    again = report(stores, refresh(stores), "verify_clone")
    assert first.details["unlisted"]["count"] > 0
    assert again.details["unlisted"] == first.details["unlisted"]
    assert again.warnings == first.warnings


def _everything() -> dict[str, Any]:
    return {"if_exists": "replace", "include_resources": harness.everything()}


# ---- what only seems quiet -------------------------------------------------------------------


def made_anew(stores: Stores, points: list[Any]) -> None:
    """The source's collection is deleted and made again, and written to as often as before."""
    name = collection(stores, SOURCE)
    with stores.vectors() as vectors:
        told, config = vectors.last_write(name), vectors.read_config(name)
        vectors.delete(name)
        vectors.create(name, config)
        write(stores, points)
        wait_until(lambda: vectors.last_write(name) is not None, "the last write to be applied")
        for _ in range(20):
            if vectors.last_write(name) != told:
                write(stores, points[:1])
        assert vectors.last_write(name) == told


def test_a_source_that_was_made_anew_with_as_many_writes_is_read(stores: Stores) -> None:
    made_anew(stores, [with_title(number) for number in range(POINTS)])
    clone = refresh(stores)
    assert not is_unchanged(stores, clone)
    assert_exact(stores, clone)


def test_once_in_a_while_it_is_read_all_the_same(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "READ_ANEW_AFTER", timedelta(0))
    clone = refresh(stores)
    assert (is_unchanged(stores, clone), left_alone(stores, clone)) == (True, False)


@pytest.mark.parametrize(("days", "is_read"), [(6.9, False), (7.1, True), (-7.1, True)])
def test_that_is_a_week_after_it_was_read(
    days: float, is_read: bool, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = measure.only_if_quiet

    def later(*parties: Any) -> Any:
        *others, now = parties
        return inner(*others, now + timedelta(days=days))

    monkeypatch.setattr(measure, "only_if_quiet", later)
    assert left_alone(stores, refresh(stores)) is not is_read


def test_another_version_of_the_program_reads_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "version", lambda _: "another")
    assert not left_alone(stores, refresh(stores))
    assert left_alone(stores, refresh(stores))


def test_a_clone_whose_server_was_restarted_is_read(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may count some of its writes anew."""
    monkeypatch.setattr(ServerStore, "identity", lambda _: "another process")
    assert not left_alone(stores, refresh(stores))
    assert left_alone(stores, refresh(stores))


def test_a_source_that_was_made_anew_while_it_was_proven_is_read_by_the_next_refresh(
    stores: Stores,
) -> None:
    """The number of its last write is the one at which the copy was read."""
    write(stores, [with_title(1)])
    made = harness.clone(stores, SOURCE, NAME, until="verify_clone", **_everything())
    _make_source_anew(stores)
    finish(Making(stores, made), "verify_clone")
    clone = refresh(stores)
    assert not left_alone(stores, clone)
    assert_exact(stores, clone)


def test_a_server_that_tells_no_segments_is_read(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerStore, "segments", lambda *_: None)
    assert not left_alone(stores, refresh(stores))


def test_what_was_tampered_with_unseen_is_not_published_and_is_put_right_when_it_is_read(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report dates the proof from before."""
    before = datetime.now().astimezone()
    tamper_unseen(stores, monkeypatch)
    published = Published.of(report(stores, refresh(stores), "publish_clone"))
    assert published.unchanged
    assert published.read_at is not None
    assert published.read_at < before
    assert verify_sealed(stores, None, NAME).unchanged is False

    monkeypatch.setattr(quiet, "READ_ANEW_AFTER", timedelta(0))
    clone = refresh(stores)
    assert not is_unchanged(stores, clone)
    assert report(stores, clone, "verify_clone").details["repaired"] == 1
    with stores.vectors() as vectors:
        found = vectors.retrieve(clone.qdrant_collection, [5])
    assert found[0].payload["title"] == point(5).payload["title"]


# ---- what turns out not to be unchanged ------------------------------------------------------


def _write_source(stores: Stores) -> None:
    write(stores, [with_title(3)])


def _write_live(stores: Stores) -> None:
    write(stores, [with_title(3, "by hand")], NAME)


def _make_source_anew(stores: Stores) -> None:
    made_anew(stores, [with_title(number) for number in range(POINTS)])


def _delete_live(stores: Stores) -> None:
    with stores.vectors() as vectors:
        vectors.delete(collection(stores, NAME))


def begun(stores: Stores, until: str) -> Making:
    made = harness.clone(stores, SOURCE, NAME, until=until, **_everything())
    assert made.plan["base"] is not None
    assert made.plan["base"]["quiet"] is not None
    return Making(stores, made)


def finish(making: Making, first: str) -> Clone:
    for one in STEPS[STEPS.index(first) :]:
        making.step(one)
    return ledger_of(making.stores, making.clone.clone_id)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("copy_points", _write_source),
        ("copy_points", _write_live),
        ("copy_points", _make_source_anew),
        ("verify_clone", _write_source),
        ("verify_clone", _write_live),
        ("verify_clone", _make_source_anew),
        ("verify_clone", _delete_live),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_what_is_disturbed_before_it_is_published_is_copied_after_all(
    before: str, change: Callable[[Stores], None], stores: Stores
) -> None:
    write(stores, [with_title(1)])
    refresh(stores)
    making = begun(stores, before)
    change(stores)
    for one in STEPS[STEPS.index(before) : STEPS.index("publish_clone")]:
        making.step(one)
    # By the step that finds it, before anything is published.
    assert report(stores, making.clone, "verify_clone").details["points_compared"] == POINTS
    clone = finish(making, "publish_clone")
    assert not is_unchanged(stores, clone)
    assert live(stores).key == clone.namespace_key
    assert_exact(stores, clone)
    assert verify_sealed(stores, None, NAME).unchanged is True


@pytest.mark.parametrize("broken", ["copy_points", "verify_clone"])
def test_one_that_breaks_off_meanwhile_goes_on(
    broken: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = begun(stores, "verify_clone")
    _write_live(stores)

    class Broken(Exception):
        pass

    calls = []
    inner = steps._FUNCTIONS[broken]

    def breaking(*parties: Any) -> Any:
        calls.append(broken)
        if broken == "copy_points" or len(calls) == 2:
            raise Broken
        return inner(*parties)

    with monkeypatch.context() as patch:
        patch.setitem(steps._FUNCTIONS, broken, breaking)
        with pytest.raises(Broken):
            making.step("verify_clone")
    clone = finish(making, "verify_clone")
    assert not is_unchanged(stores, clone)
    assert_exact(stores, clone)


def test_one_whose_base_is_gone_is_streamed(stores: Stores) -> None:
    making = begun(stores, "copy_points")
    with stores.vectors() as vectors:
        vectors.delete(collection(stores, NAME))
    clone = finish(making, "copy_points")
    assert clone.plan["lane"] == "stream"
    assert_exact(stores, clone)


def test_a_base_that_is_gone_when_its_copy_is_proven_is_replaced_by_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "READ_ANEW_AFTER", timedelta(0))
    made = harness.clone(stores, SOURCE, NAME, until="verify_clone", **_everything())
    _delete_live(stores)
    clone = finish(Making(stores, made), "verify_clone")
    assert (clone.plan["lane"], is_unchanged(stores, clone)) == ("delta", False)
    assert_exact(stores, clone)


def test_slices_of_a_base_that_was_not_proven_are_not_taken_over(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = begun(stores, "copy_points")
    monkeypatch.setattr(points_quiet, "_take_over", lambda *_: False)
    clone = finish(making, "copy_points")
    assert not left_alone(stores, clone)
    assert_exact(stores, clone)


def _restore(stores: Stores, points: list[Any]) -> None:
    """The source is put back from a snapshot, and written to as often as before."""
    url, name = stores.vector_address.url, collection(stores, SOURCE)
    at = f"{url}/collections/{name}/snapshots"
    made = _ask("POST", at)["result"]["name"]
    write(stores, [with_title(1, "before")])
    refresh(stores)
    _ask("PUT", f"{at}/recover", {"location": f"{at}/{made}", "priority": "snapshot"})
    write(stores, points)


def _ask(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}?wait=true", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_a_source_that_was_put_back_from_a_snapshot_is_read(stores: Stores) -> None:
    _restore(stores, [with_title(2, "after")])
    clone = refresh(stores)
    assert not is_unchanged(stores, clone)
    assert_exact(stores, clone)
