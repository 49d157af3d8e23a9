"""`kill -9` of the real command at any moment, then `resume`: the clone is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from clone_pipeline.core.report import STEPS

from .bundles import NAME
from .checks import Source, assert_whole, status
from .place import Outcome, Place

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "30"))
CLONE = ("clone", NAME, "copy", "--taxonomies")
RESUME = ("resume", "copy")


def go_on(place: Place, chance: random.Random) -> tuple[str, ...]:
    """The command that a person would type now: the same `clone` again, or `resume`."""
    state = status(place, "copy")
    if state is None:
        return CLONE
    if state == "ready":
        return RESUME
    return chance.choice([CLONE, RESUME])


def assert_killed(outcome: Outcome) -> None:
    assert outcome.code == -signal.SIGKILL, outcome


def test_a_clone_that_is_killed_again_and_again_is_whole_in_the_end(
    place: Place, before: Source, tmp_path: Path
) -> None:
    moments = [
        (CLONE, "plan_clone:write:committed", 1),
        (RESUME, "clone_buckets:write:uncommitted", 2),
        (CLONE, "copy_points:upsert:half", 3),
        (RESUME, "publish_clone:write:uncommitted", 2),
    ]
    for command, moment, nth in moments:
        assert_killed(place.run(*command, kill=[moment, nth]))
        assert status(place, "copy") == "cloning"
    place.good(*RESUME)
    assert_whole(place, "copy", before, tmp_path / "scratch")
    assert place.json("verify", NAME, "copy")["equal_to_source"] is True


@pytest.mark.long
def test_a_clone_killed_after_it_was_published_is_ready(
    place: Place, before: Source, tmp_path: Path
) -> None:
    assert_killed(place.run(*CLONE, kill=["publish_clone:write:committed", 2]))
    assert status(place, "copy") == "ready"
    assert_whole(place, "copy", before, tmp_path / "scratch")
    assert place.json(*RESUME)["status"] == "ready"
    refused = place.run(*CLONE)
    assert refused.code == 2
    assert "exists" in refused.sentence


@pytest.mark.long
def test_kills_at_random_moments_of_every_step(
    loaded: Place, before: Source, tmp_path: Path
) -> None:
    """Half of the runs that go on with a killed clone are killed too."""
    chance = random.Random(20260506)
    by_step = record_moments(loaded.copy(tmp_path / "record"), tmp_path / "ticks")
    killed: dict[str, int] = defaultdict(int)
    case = 0
    while sum(killed.values()) < KILLS or set(killed) < {*STEPS, "outside"}:
        place = loaded.copy(tmp_path / f"case-{case}")
        steps = [*STEPS, "outside"]
        step = steps[case % len(steps)]
        command: tuple[str, ...] = CLONE
        while True:
            moment = chance.choice(sorted(set(by_step[step])))
            nth = chance.randint(1, by_step[step].count(moment))
            outcome = place.run(*command, kill=[moment, nth])
            if outcome.code == 0:
                break  # it had gone past that moment before
            assert_killed(outcome)
            killed[step] += 1
            command = go_on(place, chance)
            if chance.random() < 0.5:
                place.good(*command)
                break
            step = chance.choice(steps)
        assert_whole(place, "copy", before, tmp_path / f"scratch-{case}")
        case += 1


@pytest.mark.long
def test_kills_at_random_times(loaded: Place, before: Source, tmp_path: Path) -> None:
    """Moments that nobody thought of: of the start, of Dagster, in the middle of a write."""
    chance = random.Random(20260507)
    started = time.monotonic()
    loaded.copy(tmp_path / "whole").good(*CLONE)
    longest = time.monotonic() - started
    killed = case = 0
    while killed < KILLS // 2:
        place = loaded.copy(tmp_path / f"case-{case}")
        command: tuple[str, ...] = CLONE
        while True:
            running = place.start(*command)
            with suppress(subprocess.TimeoutExpired):
                running.popen.wait(timeout=chance.uniform(0, longest))
            outcome = running.kill()
            if outcome.code == 0:
                break
            assert_killed(outcome)
            killed += 1
            command = go_on(place, chance)
            if chance.random() < 0.5:
                place.good(*command)
                break
        assert_whole(place, "copy", before, tmp_path / f"scratch-{case}")
        case += 1


def record_moments(place: Place, ticks: Path) -> dict[str, list[str]]:
    """The moments of a whole clone, by step."""
    assert place.run(*CLONE, record=str(ticks)).code == 0
    by_step: dict[str, list[str]] = defaultdict(list)
    for moment in ticks.read_text().splitlines():
        by_step[moment.partition(":")[0]].append(moment)
    assert set(by_step) == {*STEPS, "outside"}
    return by_step
