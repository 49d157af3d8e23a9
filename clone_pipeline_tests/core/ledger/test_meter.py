"""How far the points are, in words, and how often that is said."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.ledger import meter as module
from clone_pipeline.core.ledger.meter import Meter


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 6, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_it_says_done_rate_bytes_and_time_left() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.sentence == ""
    meter.begin("Copied", 100_000, 400_000_000)
    assert meter.sentence == "Copied 0 of 100,000 points (0%)."
    clock.passes(30)
    assert meter.sentence == "Copied 0 of 100,000 points (0%), none yet after 30 s."
    meter.add(20_000)
    assert meter.sentence == (
        "Copied 20,000 of 100,000 points (20%): 667 points/s, 2.7 MB/s, 2 min 0 s left."
    )
    clock.passes(7170)
    assert meter.facts == "2.8 points/s, 11 kB/s, 8 h 0 min left"


def test_what_was_done_before_is_not_in_the_rate() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.begin("Copied", 1000, 1000, done=900)
    clock.passes(10)
    meter.add(50)
    assert meter.facts == "5.0 points/s, 5 B/s, 10 s left"


def test_a_page_that_came_at_once_has_the_rate_that_is_asked_for() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.begin("Copied", 2000, 2000, limit=30)
    clock.passes(12)
    meter.add(900)
    assert meter.facts == "30 points/s, 30 B/s, 55 s left"
    clock.passes(48)  # slower than it may be
    assert meter.facts == "15 points/s, 15 B/s, 1 min 13 s left"


def test_more_than_was_planned_is_all_of_it() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.begin("Proved", 10, 100)
    clock.passes(1)
    meter.add(12)
    assert meter.sentence == "Proved 10 of 10 points (100%): 12 points/s, 120 B/s, 0 s left."


def test_a_person_hears_of_it_twice_in_half_a_minute() -> None:
    assert module._NOTE_SECONDS * module._TOLD_EVERY * 2 <= 30


def test_it_is_said_while_one_request_blocks_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NOTE_SECONDS", 0.001)
    meter, heard, told, noted = Meter(Clock()), threading.Event(), list[str](), list[int]()

    def tell(sentence: str) -> None:
        told.append(sentence)
        heard.set()

    def note(points: int) -> None:
        noted.append(points)
        raise StorageFailed("The disk is full.")  # that is for the step to say

    with meter.watched(tell, note):
        meter.begin("Copied", 10, 100)
        meter.add(4)
        assert heard.wait(60)
    assert told[0] == "Copied 4 of 10 points (40%)."
    assert set(noted) == {4}
