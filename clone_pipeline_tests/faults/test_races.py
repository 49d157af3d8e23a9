"""Two clones at once for one name: exactly one is made, the other is refused and leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import begin as beginning
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import rows

from .bundles import NAME, ROWS, small_namespace
from .checks import Source, assert_whole, find_clones
from .place import Place, Process, wait_until

pytestmark = pytest.mark.outside

RACERS = 4
CLONE = ("clone", NAME, "copy", "--taxonomies")
PLANNED = "plan_clone:plan:after"
COPYING = "copy_points:create:before"


def race(place: Place, folder: Path, *command: str) -> list[int]:
    """Two processes plan at the same time, and take the name at the same time.

    The faster one waits until the other has ended, so that it cannot be ready before that.
    """
    folder.mkdir()
    ended = folder / "ended"
    gates = [folder / "one", folder / "two"]
    racers = [
        place.start(*command, wait={PLANNED: str(gate), COPYING: str(ended)}) for gate in gates
    ]
    try:
        wait_until(lambda: all(_is_reached(gate) for gate in gates), "both plans")
        for gate in gates:
            gate.touch()
        wait_until(lambda: any(_has_ended(racer) for racer in racers), "one of them to end")
        ended.touch()
        outcomes = [racer.end() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
    refused = [outcome for outcome in outcomes if outcome.code != 0]
    assert len(refused) == 1, outcomes
    assert "copy" in refused[0].sentence
    return sorted(outcome.code for outcome in outcomes)


def _is_reached(gate: Path) -> bool:
    return gate.with_suffix(".reached").exists()


def _has_ended(process: Process) -> bool:
    return process.popen.poll() is not None


def test_two_processes_clone_into_one_name(place: Place, before: Source, tmp_path: Path) -> None:
    assert race(place, tmp_path / "race", *CLONE) == [0, 2]
    assert_whole(place, "copy", before, tmp_path / "scratch")


@pytest.mark.long
def test_two_processes_replace_one_target(place: Place, tmp_path: Path) -> None:
    place.good(*CLONE)
    for round in range(3):
        replace = (*CLONE, "--if-exists", "replace")
        assert race(place, tmp_path / f"race-{round}", *replace) == [0, 2]
        with place.stores() as stores:
            assert [clone.status for clone in find_clones(stores, "copy")] == ["ready"] * (
                round + 2
            )
            assert rows(stores.catalog)["namespaces"] == 1 + round + 2
        assert place.json("verify", NAME, "copy")["equal_to_source"] is True


@pytest.mark.long
@pytest.mark.parametrize("repetition", range(4))
def test_two_processes_start_together(
    place: Place, before: Source, tmp_path: Path, repetition: int
) -> None:
    ended = tmp_path / "ended"
    racers = [place.start(*CLONE, wait={COPYING: str(ended)}) for _ in range(2)]
    wait_until(lambda: any(_has_ended(racer) for racer in racers), "one of them to end")
    ended.touch()
    assert sorted(racer.end().code for racer in racers) == [0, 2]
    assert_whole(place, "copy", before, tmp_path / "scratch")


# ---- the same on both databases, in threads --------------------------------------------------


@pytest.fixture
def stores(catalog_url: str, tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(
        tmp_path, small_namespace(points=10, objects=6), catalog_url=catalog_url
    ) as stores:
        yield stores


def run_together(
    monkeypatch: pytest.MonkeyPatch, meet_in: str, racer: Callable[[int], Clone]
) -> list[Clone]:
    """Runs it several times at once; all are past the first call of `beginning.<meet_in>` before
    any goes on. Gives the clones of those that were not refused."""
    together = threading.Barrier(RACERS)
    met = threading.local()
    inner = getattr(beginning, meet_in)

    def meeting(*args: Any, **kwargs: Any) -> Any:
        result = inner(*args, **kwargs)
        if not hasattr(met, "once"):
            met.once = True
            together.wait(timeout=60)
        return result

    def attempt(index: int) -> Clone | Conflict:
        try:
            return racer(index)
        except Conflict as refusal:
            return refusal

    monkeypatch.setattr(beginning, meet_in, meeting)
    with ThreadPoolExecutor(RACERS) as pool:
        results = list(pool.map(attempt, range(RACERS)))
    monkeypatch.undo()
    return [result for result in results if isinstance(result, Clone)]


def begin(stores: Stores, run_id: str, **options: Any) -> Clone:
    """Plans and takes the name; the steps are not run."""
    options = {"include_resources": harness.everything(), **options}
    return harness.clone(stores, NAME, "copy", run_id=run_id, until="clone_config", **options)


def assert_only(stores: Stores, tmp_path: Path, winner: Clone, namespaces: int) -> None:
    """The winner finishes, and nothing of the others is anywhere."""
    options = {**winner.request, "run_id": winner.run_id}
    source, name = options.pop("namespace_identifier"), options.pop("namespace_name")
    assert harness.clone(stores, source, name, **options).status == "ready"
    found = rows(stores.catalog)
    made = [clone for clone in find_clones(stores, "copy") if clone.status != "discarded"]
    assert found["namespaces"] == namespaces
    assert found["objects"] == namespaces * 6
    assert found["clone_resources"] == len(made) * (1 + sum(ROWS.values()))
    assert found["clone_slices"] == len(made)
    assert [clone.status for clone in made] == ["ready"] * (namespaces - 1)
    assert len(list((tmp_path / "qdrant" / "collection").iterdir())) == namespaces


def test_many_clones_of_one_name(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winners = run_together(monkeypatch, "measure_points", lambda i: begin(stores, f"run {i}"))
    assert len(winners) == 1
    assert_only(stores, tmp_path, winners[0], 2)


def test_many_replacements_of_one_target(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = harness.everything()
    live = harness.clone(stores, NAME, "copy", include_resources=everything)
    winners = run_together(
        monkeypatch, "measure_points", lambda i: begin(stores, f"run {i}", if_exists="replace")
    )
    assert len(winners) == 1
    assert winners[0].clone_id != live.clone_id
    assert_only(stores, tmp_path, winners[0], 3)


def test_many_resumes_of_one_dead_clone(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = begin(stores, "dead")
    ledger.fail(stores, dead.clone_id, "dead", "It died.")
    winners = run_together(monkeypatch, "resolve_parties", lambda i: begin(stores, f"run {i}"))
    assert [winner.clone_id for winner in winners] == [dead.clone_id]
    assert_only(stores, tmp_path, winners[0], 2)


def test_many_other_requests_over_the_remains_of_a_dead_clone(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = begin(stores, "dead")
    ledger.fail(stores, dead.clone_id, "dead", "It died.")
    winners = run_together(
        monkeypatch,
        "resolve_parties",
        lambda i: begin(stores, f"run {i}", description=f"request {i}"),
    )
    assert len(winners) == 1
    assert winners[0].clone_id != dead.clone_id
    assert_only(stores, tmp_path, winners[0], 2)
    assert [clone.status for clone in find_clones(stores, "copy")] == ["discarded", "ready"]
