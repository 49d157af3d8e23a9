"""A run that is cancelled: the clone is marked failed, and can be resumed or discarded."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .bundles import NAME, QDRANT, write_namespace
from .checks import Source, assert_whole, look_at_source, status
from .place import Outcome, Place, wait_until
from .qdrant import running
from .rest import ask

# A short one of these is among the tests of the command line.
pytestmark = pytest.mark.long

CLONE = ("clone", NAME, "copy", "--taxonomies")


IN_A_STEP = ("copy_points:upsert:half", 2)
# Dagster keeps a signal back there until the next step begins.
BETWEEN_STEPS = ("clone_buckets:dagster event:after", 5)


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancel_ends_the_wait_for_a_rate_limit(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "server") as server:
        place = Place(tmp_path / "place", {"QDRANT_URL": server.url})
        place.good("load", str(write_namespace(tmp_path / "in")))
        limit_reads(server.url, 1_000_000)
        before = look_at_source(place, tmp_path / "dump")
        gate, ticks = tmp_path / "gate", tmp_path / "ticks"
        first_page = ["copy_points:upsert:half", 1, str(gate)]
        process = place.start(*CLONE, wait_at=first_page, record=str(ticks))
        try:
            wait_until(gate.with_suffix(".reached").exists, "the first page")
            limit_reads(server.url, 1)
            gate.touch()
            wait_until(lambda: "copy_points:wait:before" in ticks.read_text(), "the wait")
            os.kill(process.pid, number)
            outcome = process.end()
        finally:
            process.kill()
        assert outcome.code == 1
        assert "cancelled" in outcome.sentence
        assert "copy_points:wait:after" not in ticks.read_text()
        assert status(place, "copy") == "failed"
        limit_reads(server.url, 1_000_000)
        place.good("resume", "copy")
        assert_whole(place, "copy", before, tmp_path / "scratch")


def limit_reads(url: str, a_minute: int) -> None:
    body = {"strict_mode_config": {"enabled": True, "read_rate_limit": a_minute}}
    ask(url, f"/collections/{QDRANT}", body, method="PATCH")
