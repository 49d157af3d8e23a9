"""Progress for a person, read from the ledger: the same whichever process does the work."""

import threading
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from sqlalchemy import select

from clone_pipeline.cli.output import stderr
from clone_pipeline.core import ledger
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import CloneRequest
from clone_pipeline.core.stores import Stores

_POLL_SECONDS = 0.2


class Progress:
    """While the block runs: a bar for the steps and one for the points; on a plain stderr, a line
    for each step that is done."""

    def __init__(self, stores: Stores, request: CloneRequest, *, shown: bool) -> None:
        self._stores = stores
        self._request = request
        self._shown = shown
        self._since = stores.clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._told: set[str] = set()
        self._bars = Bars(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
            disable=not (shown and stderr.is_terminal),
            transient=True,
        )

    def __enter__(self) -> "Progress":
        if self._shown:
            self._bars.start()
            self._steps = self._bars.add_task("plan_clone", total=len(STEPS))
            self._points = self._bars.add_task("points", total=None)
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
        except CloneError:
            return  # the run itself will say what is wrong with the catalog
        done = ["plan_clone", *(step for step in STEPS if step in reports)]
        waiting = [step for step in STEPS if step not in done]
        self._bars.update(
            self._steps, completed=len(done), description=waiting[0] if waiting else "done"
        )
        planned = row["plan"]["counts"]["points"] or None
        self._bars.update(self._points, completed=copied, total=planned)
        if not stderr.is_terminal:
            for step in done[1:]:
                if step not in self._told:
                    self._told.add(step)
                    report = reports[step]
                    what = report.details.get("reason") or ", ".join(
                        f"{count} {name}" for name, count in report.counts.items()
                    )
                    stderr.print(f"{step}: {what or 'done'}")
