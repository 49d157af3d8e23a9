"""What a person sees while points are loaded and proven: only where a person looks."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.cli import progress as module
from clone_pipeline.cli.progress import PointsBar
from clone_pipeline.core import bundle
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.points.progress import points_to_prove
from clone_pipeline.core.verify import points as check_points
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.cli.running import at_width, run
from clone_pipeline_tests.sources import write_bundle

NOW = datetime(2026, 5, 6, tzinfo=timezone.utc)


class Noted(Meter):
    """What was begun: with how many, of what size, and how many of them were done."""

    def __init__(self) -> None:
        self.parts: list[list[Any]] = []
        super().__init__(lambda: NOW)

    def begin(self, doing: str, total: int, bytes: int, done: int = 0, limit: Any = None) -> None:
        super().begin(doing, total, bytes, done, limit)
        self.parts.append([doing, total, bytes, done])

    def add(self, points: int) -> None:
        super().add(points)
        self.parts[-1][3] = self.done


def test_a_load_counts_what_it_checks_and_what_it_writes(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", prod())
    size = (folder / "points.jsonl").stat().st_size
    meter = Noted()
    (tmp_path / "home").mkdir()
    with harness.open_stores(tmp_path / "home") as stores, stores.vectors() as vectors:
        report = bundle.load(folder, stores.catalog, vectors, NOW, meter=meter)
    points = report.counts["points"]
    assert points == 5
    assert meter.parts == [["Checked", points, size, points], ["Loaded", points, size, points]]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_a_bar_has_points_pace_bytes_and_time_left(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = NOW
    with at_width(monkeypatch, columns), PointsBar(lambda: now, shown=True) as bar:
        bar.meter.begin("Loaded", 100_000, 100_000_000)
        now += timedelta(seconds=10)
        bar.meter.add(10_000)
    shown = capsys.readouterr().err
    for part in ("Loaded", "10,000/100,000", "1,000 points/s", "1.0 MB/s", "1 min 30 s left"):
        assert part in shown


def test_a_plain_stderr_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(module, "_TOLD_EVERY", 2)
    with PointsBar(lambda: NOW, shown=True) as bar:
        bar.meter.begin("Loaded", 1000, 1_000_000)
        bar.meter.add(400)
        told, waited = "", threading.Event()
        while not told:
            waited.wait(0.01)
            told = capsys.readouterr().err
    assert told.splitlines()[0] == "Loaded 400 of 1,000 points (40%)."


def test_of_records_that_there_are_none_of_nothing_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An adopted collection has points alone."""
    with PointsBar(lambda: NOW, shown=True) as bar:
        for kind, done in (("points", 5), ("buckets", 0), ("objects", 0), ("objects", 3)):
            bar.tell(kind, done)
    assert capsys.readouterr().err.splitlines() == ["objects ..."]


@pytest.mark.parametrize("columns", [None, 120])
def test_load_shows_a_bar_at_a_terminal_only(
    columns: int | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(home.parent / "other", prod("ns_other000001", "other"))
    if columns is None:
        answer = run("load", "other")
        assert "\x1b" not in answer.stderr
        assert answer.stderr.splitlines()[0] == "buckets ..."
    else:
        with at_width(monkeypatch, columns):
            answer = run("load", "other")
        assert re.search(r"\x1b\[.*(?:objects|retrievers|taxonomies)", answer.stderr, re.DOTALL)
    assert answer.code == 0


def test_json_is_not_disturbed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(home.parent / "other", prod("ns_other000001", "other"))
    with at_width(monkeypatch, 120):
        assert run("load", "other", "--json").stderr == ""


@pytest.mark.parametrize(("verify", "of"), [("sample", 5), ("full", 5), ("counts", 0)])
def test_the_proof_is_measured_by_what_it_looks_at(
    verify: str, of: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Meter] = []
    real = check_points._check_ids

    def checked(work: Any, *given: Any) -> None:
        began.append(work.meter)
        real(work, *given)

    monkeypatch.setattr(check_points, "_check_ids", checked)
    (tmp_path / "home").mkdir()
    with harness.holding(tmp_path / "home", prod()) as stores:
        include = harness.everything()
        clone = harness.clone(stores, "prod", "copy", verify=verify, include_resources=include)
        with stores.catalog.read() as connection:
            row = {"clone_id": clone.clone_id, "request": clone.request, "plan": clone.plan}
            assert points_to_prove(connection, row) == of  # type: ignore[arg-type]
    if verify == "sample":
        meter = began[-1]
        assert (meter.doing, meter.done, meter.total) == ("Proved", 5, 5)


def test_a_sample_is_not_measured_by_all_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clone_pipeline.core.points import progress

    monkeypatch.setattr(progress, "SAMPLED", 1)
    (tmp_path / "home").mkdir()
    with harness.holding(tmp_path / "home", prod()) as stores:
        include = harness.everything()
        clone = harness.clone(stores, "prod", "copy", verify="sample", include_resources=include)
        with stores.catalog.read() as connection:
            row = {"clone_id": clone.clone_id, "request": clone.request, "plan": clone.plan}
            # One of each collection, and one of those that are in none.
            assert 1 <= points_to_prove(connection, row) < 5  # type: ignore[arg-type]
