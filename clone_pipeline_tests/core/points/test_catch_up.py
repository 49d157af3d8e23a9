"""A source that is written to while it is copied: what it has changed is copied again, and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.points import catchup, pages
from clone_pipeline.core.refresh import marks
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ... import harness
from ...faults.rest import ask
from ..verify.making import NAME, SOURCE, Making
from ..verify.many import assert_equal, point, stores_with

POINTS = 600
QUIET = "the source was not written to while it was copied"

Writer = Callable[[VectorStore, str], None]


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Several slices of several pages."""
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    monkeypatch.setattr(pages, "FIRST_PAGE", 50)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 50)
    with stores_with(qdrant_url, tmp_path, POINTS) as stores:
        yield stores


@pytest.fixture
def planned(stores: Stores) -> Making:
    """A clone of which everything but the points is copied."""
    options = {"include_resources": harness.everything()}
    clone = harness.clone(stores, SOURCE, NAME, until="copy_points", **options)
    making = Making(stores, clone)
    for step in ("clone_retrievers", "clone_taxonomies"):
        making.step(step)
    return making


def write(making: Making, *points: Point) -> None:
    with making.stores.vectors() as vectors:
        vectors.write(making.source_collection(), [EncodedPoint.of(one) for one in points])


def changed(number: int) -> Point:
    """A point of the source with another title."""
    one = point(number)
    return one._replace(payload={**one.payload, "title": "changed"})


def new(number: int) -> Point:
    return point(number)._replace(id=10_000 + number)


def at_page(
    number: int, monkeypatch: pytest.MonkeyPatch, making: Making, do: Callable[[], None]
) -> None:
    """Lets it happen when so many pages have been written to the target."""
    inner, pages = ServerStore.write, Counter[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> None:
        inner(self, collection, *rest)
        pages[collection] += 1
        if collection == making.clone.qdrant_collection and pages[collection] == number:
            do()

    monkeypatch.setattr(ServerStore, "write", noted)


def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many points were read of which collection, from now on."""
    inner, found = ServerStore.read, Counter[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> Any:
        page = inner(self, collection, *rest)
        found[collection] += page.count
        return page

    monkeypatch.setattr(ServerStore, "read", noted)
    return found


def copy(making: Making) -> tuple[StepReport, dict[str, Any]]:
    report = making.step("copy_points")
    consistency = dict(report.shown["consistency"])
    assert isinstance(consistency.pop("mark"), str)
    return report, consistency


def moving(*points_changed: int, outcome: str) -> dict[str, Any]:
    return {
        "state": "moving",
        "passes": len(points_changed),
        "points_changed": list(points_changed),
        "outcome": outcome,
    }


def prove_and_publish(making: Making, *, drift: dict[str, Any]) -> None:
    """Nothing is left to repair, whatever the source has become."""
    proof = making.prove()
    assert (proof.details["differences"], proof.details["repaired"]) == (0, 0)
    assert proof.details["drift"] == drift
    making.publish()
    assert making.status() == "ready"
    assert verify_sealed(making.stores, None, NAME).good


NO_DRIFT = {"state": "quiet", "at_least": {}}


def test_a_quiet_source_is_read_once(planned: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    found = reads(monkeypatch)
    report, consistency = copy(planned)
    assert consistency == {"state": "quiet", "passes": 0, "points_changed": [], "outcome": QUIET}
    assert report.counts == {"points": POINTS}
    assert not any("written to" in warning for warning in report.warnings)
    prove_and_publish(planned, drift=NO_DRIFT)
    # Each slice ends with a page that runs over its end.
    source = planned.source_collection()
    slack = 50 * planned.clone.plan["slices"]
    assert POINTS <= found[source] <= POINTS + slack
    assert POINTS <= found[planned.clone.qdrant_collection] <= 2 * (POINTS + slack)
    assert_equal(planned)


def test_to_search_and_to_read_is_not_to_write(
    planned: Making, qdrant_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = planned.source_collection()

    def read() -> None:
        query = {"query": [0.1, 0.2, 0.3], "using": "image", "limit": 3}
        ask(qdrant_url, f"/collections/{source}/points/query", query)
        ask(qdrant_url, f"/collections/{source}/points/count", {"exact": True})

    at_page(3, monkeypatch, planned, read)
    _, consistency = copy(planned)
    assert (consistency["state"], consistency["outcome"]) == ("quiet", QUIET)


def test_what_is_written_between_plan_and_copy_is_part_of_the_clone(planned: Making) -> None:
    """It was copied with the rest; one pass finds that nothing differs any more."""
    write(planned, changed(1), changed(3), new(5))
    with planned.stores.vectors() as vectors:
        vectors.delete_points(planned.source_collection(), [point(7).id, point(9).id])
    report, consistency = copy(planned)
    outcome = "nothing differs any more after 1 catch-up pass"
    assert consistency == moving(0, outcome=outcome)
    assert f"The source is being written to: {outcome}." in report.warnings
    assert report.counts == {"points": POINTS - 1}
    prove_and_publish(planned, drift=NO_DRIFT)
    assert_equal(planned)
    assert verify_pair(planned.stores, None, SOURCE, NAME).equal is True


def test_what_is_written_during_the_copy_is_copied_again(
    planned: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points that come, go and change, of the pages that were copied and of those to come."""
    last = [POINTS - number for number in range(1, 30)]
    gone = [point(number).id for number in (11, 12, *last[20:25])]

    def write_to_the_source() -> None:
        write(planned, *map(changed, (1, 2, 3, *last[:10])), *map(new, range(8)))
        with planned.stores.vectors() as vectors:
            vectors.delete_points(planned.source_collection(), gone)

    monkeypatch.setattr(pages, "CONCURRENT", 1)
    at_page(3, monkeypatch, planned, write_to_the_source)
    report, consistency = copy(planned)
    (found,) = consistency["points_changed"]
    assert 1 <= found <= 13 + 8 + len(gone)
    assert consistency == moving(found, outcome="nothing differs any more after 1 catch-up pass")
    assert report.counts == {"points": POINTS + 8 - len(gone)}
    assert_equal(planned)
    prove_and_publish(planned, drift=NO_DRIFT)
    assert_equal(planned)
    assert verify_pair(planned.stores, None, SOURCE, NAME).equal is True


def test_the_number_of_points_that_changed_is_exact(
    planned: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the source has been copied when 5 points change, 2 come and 3 go."""

    def write_to_the_source() -> None:
        write(planned, *map(changed, (1, 2, 3, 300, 599)), new(1), new(2))
        with planned.stores.vectors() as vectors:
            gone = [point(number).id for number in (20, 21, 598)]
            vectors.delete_points(planned.source_collection(), gone)

    after_the_copy(monkeypatch, write_to_the_source)
    report, consistency = copy(planned)
    assert consistency == moving(10, outcome="nothing differs any more after 1 catch-up pass")
    assert report.counts == {"points": POINTS - 1}
    assert_equal(planned)
    prove_and_publish(planned, drift=NO_DRIFT)


def after_the_copy(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Before it is asked whether the source was written to."""
    inner, asked = marks.mark, list[str]()

    def noted(store: VectorStore, collection: str) -> str:
        if not asked:
            asked.append(collection)
            do()
        return inner(store, collection)

    monkeypatch.setattr(catchup, "mark", noted)


@pytest.mark.parametrize("what", ["payload", "vector"])
def test_a_point_that_changes_at_the_same_count_is_noticed(
    planned: Making, monkeypatch: pytest.MonkeyPatch, qdrant_url: str, what: str
) -> None:
    source = planned.source_collection()

    def write_to_the_source() -> None:
        if what == "payload":
            body: Any = {"points": [1], "payload": {"b": 7}, "key": "metadata"}
            ask(qdrant_url, f"/collections/{source}/points/payload?wait=true", body)
        else:
            body = {"points": [{"id": 1, "vector": {"image": [1.0, 2.0, 3.0]}}]}
            ask(qdrant_url, f"/collections/{source}/points/vectors?wait=true", body, "PUT")

    at_page(13, monkeypatch, planned, write_to_the_source)
    _, consistency = copy(planned)
    assert consistency["state"] == "moving"
    assert consistency["points_changed"] in ([0], [1])  # it was copied before, or is
    assert_equal(planned)
    prove_and_publish(planned, drift=NO_DRIFT)


def each_pass(monkeypatch: pytest.MonkeyPatch, after: Callable[[int], None]) -> None:
    inner, passes = catchup._pass, list[int]()

    def noted(*arguments: Any) -> Any:
        result = inner(*arguments)
        passes.append(1)
        after(len(passes))
        return result

    monkeypatch.setattr(catchup, "_pass", noted)


def test_a_pass_that_finds_little_is_the_last(
    planned: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the source has been written to again meanwhile, which is told as drift."""
    write(planned, changed(1))
    each_pass(monkeypatch, lambda number: write(planned, new(number), new(number + 1)))
    _, consistency = copy(planned)
    outcome = "1 catch-up pass, until at most 0.1% of the points differed (0)"
    assert consistency == moving(0, outcome=outcome)
    prove_and_publish(planned, drift={"state": "moving", "at_least": {"points": 2}})


def test_a_source_that_does_not_rest_is_left_after_three_passes(
    planned: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read last is what is proven; what came after that is told as drift."""
    after_the_copy(monkeypatch, lambda: write(planned, *map(new, range(5))))
    each_pass(
        monkeypatch, lambda number: write(planned, *map(new, range(number * 10, number * 10 + 7)))
    )
    report, consistency = copy(planned)
    outcome = "the limit of 3 catch-up passes was reached; 7 points had changed at the last one"
    assert consistency == moving(5, 7, 7, outcome=outcome)
    assert f"The source is being written to: {outcome}." in report.warnings
    assert report.counts == {"points": POINTS + 19}
    prove_and_publish(planned, drift={"state": "moving", "at_least": {"points": 7}})
    pair = verify_pair(planned.stores, None, SOURCE, NAME)
    assert (pair.good, pair.unchanged, pair.equal) == (True, True, False)
    assert {(one.id, one.field) for one in pair.differences.first} == {
        (str(new(number).id), "is missing") for number in range(30, 37)
    }


def test_a_small_share_is_enough(planned: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "ENOUGH", 0.01)
    after_the_copy(monkeypatch, lambda: write(planned, *map(new, range(20))))
    each_pass(monkeypatch, lambda number: write(planned, *map(new, range(100, 100 + 3 * number))))
    _, consistency = copy(planned)
    assert consistency == moving(
        20, 3, outcome="2 catch-up passes, until at most 1.0% of the points differed (3)"
    )
    prove_and_publish(planned, drift={"state": "moving", "at_least": {"points": 3}})


def test_a_source_that_rests_again_is_caught_up_with(
    planned: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_copy(monkeypatch, lambda: write(planned, *map(new, range(9))))

    def once(number: int) -> None:
        if number == 1:
            write(planned, changed(4), changed(5))

    each_pass(monkeypatch, once)
    _, consistency = copy(planned)
    assert consistency == moving(9, 2, outcome="nothing differs any more after 2 catch-up passes")
    assert_equal(planned)
    prove_and_publish(planned, drift=NO_DRIFT)
