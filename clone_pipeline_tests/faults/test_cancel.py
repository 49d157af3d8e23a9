"""A run that is cancelled: the clone is marked failed, and can be resumed or discarded."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .bundles import NAME, QDRANT
from .checks import Source, assert_whole, look_at_source, status
from .place import Outcome, Place, wait_until

# A short one of these is among the tests of the command line.
pytestmark = pytest.mark.long

CLONE = ("clone", NAME, "copy", "--taxonomies")


IN_A_STEP = ("copy_points:upsert:half", 2)
# Dagster keeps a signal back there until the next step begins.
BETWEEN_STEPS = ("clone_buckets:dagster event:after", 8)


def cancel(place: Place, number: signal.Signals, moment: tuple[str, int], gate: Path) -> Outcome:
    running = place.start(*CLONE, wait_at=[*moment, str(gate)])
    try:
        wait_until(gate.with_suffix(".reached").exists, moment[0])
        os.kill(running.pid, number)
        gate.touch()
        return running.end()
    finally:
        running.kill()


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGTERM, IN_A_STEP),
        (signal.SIGINT, IN_A_STEP),
        (signal.SIGTERM, BETWEEN_STEPS),
    ],
)
def test_a_cancelled_clone_is_failed_and_can_be_resumed(
    place: Place, before: Source, tmp_path: Path, number: signal.Signals, moment: tuple[str, int]
) -> None:
    outcome = cancel(place, number, moment, tmp_path / "gate")
    assert outcome.code == 1
    assert "cancelled" in outcome.sentence
    shown = place.json("show", "copy")
    assert shown["clone_status"] == "failed"
    assert "cancelled" in shown["clone_error"]
    place.good("resume", "copy")
    assert_whole(place, "copy", before, tmp_path / "scratch")


def test_a_cancelled_clone_can_be_discarded(place: Place, before: Source, tmp_path: Path) -> None:
    assert cancel(place, signal.SIGTERM, IN_A_STEP, tmp_path / "gate").code == 1
    place.good("delete", "copy", "--yes")
    assert status(place, "copy") == "discarded"
    assert [path.name for path in (place.home / "qdrant" / "collection").iterdir()] == [QDRANT]
    assert look_at_source(place, tmp_path / "dump") == before
