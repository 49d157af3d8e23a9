"""Progress for a person. That of a clone is read from the ledger: the same whichever process does
the work."""

import os
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from io import UnsupportedOperation
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from sqlalchemy import RowMapping, select

from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.ledger.work import share_of_bytes
from clone_pipeline.core.points.progress import points_to_prove
from clone_pipeline.core.report import STEPS, StepReport
from clone_pipeline.core.request import CloneRequest
from clone_pipeline.core.stores import Stores

_POLL_SECONDS = 0.2
# On a plain stderr, how far the points are is told every so many looks.
_TOLD_EVERY = 100
# Room for a long bar and the time that has passed beside all numbers.
_WIDE = 120
# The bars of points: what is done with them, in which step.
_POINTS = {"copy_points": "Copied", "verify_clone": "Proved"}
_FILES = "Copied"  # and of files, in `copy_files`


class Progress:
    """While the block runs: a bar for the steps and one each for copying and proving the points;
    on a plain stderr, a line for each step that is done, and now and then how far the points are.

    It writes to a stderr of its own, because Dagster sends a step's output into files.
    """

    def __init__(self, stores: Stores, request: CloneRequest, *, shown: bool) -> None:
        self._stores = stores
        self._request = request
        self._shown = shown
        self._since = stores.clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._told: set[str] = set()
        self._meters: dict[str, Meter] = {}
        self._looks = 0
        self._to_prove: int | None = None

    def __enter__(self) -> "Progress":
        if self._shown:
            self._stream, self._is_ours = _own_stderr()
            self._console = Console(file=self._stream, highlight=False, markup=False, emoji=False)
            self._bars = _bars(self._console)
            self._bars.start()
            self._steps = self._bars.add_task("plan_clone", total=len(STEPS), how_far="", facts="")
            self._tasks = {
                step: self._bars.add_task(doing, visible=False, how_far="", facts="")
                for step, doing in {**_POINTS, "copy_files": _FILES}.items()
            }
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._stop.set()
            self._thread.join()
            self._bars.stop()
            if self._is_ours:
                self._stream.close()

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            with self._stores.catalog.read() as connection:
                query = (
                    select(clones)
                    .where(clones.c.namespace_name == self._request.namespace_name)
                    .where(clones.c.updated_at >= self._since)
                    .order_by(clones.c.updated_at.desc())
                )
                row = connection.execute(query).mappings().first()
                if row is None:
                    return
                reports = ledger.read_reports(connection, row["clone_id"])
                copied = ledger.points_copied(connection, row["clone_id"])
                proving = row["phase"] in ("verifying", "published")
                if proving and self._to_prove is None:
                    self._to_prove = points_to_prove(connection, row)
        except CloneError:
            return  # the run itself will say what is wrong with the catalog
        self._looks += 1
        waiting = [step for step in STEPS if step not in reports]
        self._bars.update(
            self._steps,
            completed=len(STEPS) - len(waiting),
            description=waiting[0] if waiting else "done",
            how_far=f"{len(STEPS) - len(waiting)}/{len(STEPS)}",
        )
        total = row["plan"]["counts"]["points"]
        if "clone_collections" in reports:
            self._measure("copy_points", row, reports, copied, total)
        if row["files"] is not None:
            self._measure_files(row["files"], reports)
        if self._to_prove is not None:
            done = row["points_proven"] or 0
            self._measure("verify_clone", row, reports, done, self._to_prove)
        if not self._console.is_terminal:
            self._tell_steps(reports)

    def _measure(
        self, step: str, row: RowMapping, reports: dict[str, StepReport], done: int, total: int
    ) -> None:
        """Its bar, from when the step has begun until it is done."""
        if not total:
            return
        meter = self._meters.get(step)
        if meter is None:
            meter = self._meters[step] = Meter(self._stores.clock)
            limit = self._request.max_points_per_second
            meter.begin(_POINTS[step], total, share_of_bytes(row["plan"], total), done, limit)
        meter.done = total if step in reports else done
        self._bars.update(
            self._tasks[step],
            visible=True,
            total=total,
            completed=meter.done,
            how_far=f"{meter.done:,}/{total:,}",
            facts="" if step in reports else meter.facts,
        )
        if self._looks % _TOLD_EVERY == 0 and step not in reports:
            self._tell(meter.sentence)

    def _measure_files(self, how_far: dict[str, int], reports: dict[str, StepReport]) -> None:
        """The bar of the files, while they are copied and where the proof copies one again."""
        meter = self._meters.get("copy_files")
        if meter is None or meter.total != how_far["total"]:
            meter = self._meters["copy_files"] = Meter(self._stores.clock)
            meter.begin(_FILES, how_far["total"], 0, how_far["done"], unit="files")
        meter.done, meter.moved = how_far["done"], how_far["bytes"]
        self._bars.update(
            self._tasks["copy_files"],
            visible=True,
            total=meter.total,
            completed=meter.done,
            how_far=f"{meter.done:,}/{meter.total:,} files",
            facts="" if "copy_files" in reports else meter.facts,
        )
        if self._looks % _TOLD_EVERY == 0 and "copy_files" not in reports:
            self._tell(meter.sentence)

    def _tell_steps(self, reports: dict[str, StepReport]) -> None:
        for step in STEPS:
            if step in reports and step not in self._told:
                self._told.add(step)
                report = reports[step]
                what = (
                    report.details.get("reason")
                    or report.details.get("copied")
                    or ", ".join(f"{count} {name}" for name, count in report.counts.items())
                )
                self._tell(f"{step}: {what or 'done'}")

    def _tell(self, sentence: str) -> None:
        if not self._console.is_terminal:
            self._console.print(sentence, soft_wrap=True)


class PointsBar:
    """While the block runs: a bar of what its meter counts, and of the records that come after it;
    on a plain stderr, how far the points are now and then, and the name of each kind of record."""

    def __init__(self, clock: Callable[[], datetime], *, shown: bool) -> None:
        self.meter = Meter(clock)
        self._shown = shown
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bars = _bars(self._console)
        self._task = self._bars.add_task("", how_far="", facts="", visible=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._records: set[str] = set()

    def __enter__(self) -> "PointsBar":
        if self._shown:
            self._bars.start()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stop.set()
            self._thread.join()
            self._bars.stop()

    def tell(self, kind: str, done: int) -> None:
        """So many records of a kind are written, after the points; of none nothing is told."""
        if not self._shown or kind == "points" or not done:
            return
        if not self._console.is_terminal and kind not in self._records:
            self._console.print(f"{kind} ...", soft_wrap=True)
        self._records.add(kind)
        self._bars.update(
            self._task, description=kind, total=None, how_far=f"{done:,}", facts="", visible=True
        )

    def _watch(self) -> None:
        looks = 0
        while not self._stop.wait(_POLL_SECONDS):
            looks += 1
            self._look(is_told=looks % _TOLD_EVERY == 0)
        self._look(is_told=False)

    def _look(self, *, is_told: bool) -> None:
        meter = self.meter
        if self._records or not meter.total:
            return
        self._bars.update(
            self._task,
            description=meter.doing,
            total=meter.total,
            completed=meter.done,
            how_far=f"{meter.done:,}/{meter.total:,}",
            facts=meter.facts,
            visible=True,
        )
        if is_told and not self._console.is_terminal:
            self._console.print(meter.sentence, soft_wrap=True)


def _bars(console: Console) -> Bars:
    """In a narrow terminal the numbers come first: what has no room on the line is cut off."""
    wide = console.width >= _WIDE
    return Bars(
        TextColumn("{task.description:<18}"),
        BarColumn(40 if wide else 6),
        TextColumn("{task.fields[how_far]}"),
        *([TimeElapsedColumn()] if wide else []),
        TextColumn("{task.fields[facts]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _own_stderr() -> tuple[TextIO | Any, bool]:
    """A stderr that stays where it is when file descriptor 2 is sent elsewhere, and whether it is
    to be closed; the plain one where it has no descriptor."""
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8"), True
    except (UnsupportedOperation, OSError):
        return sys.stderr, False
