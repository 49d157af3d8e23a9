"""What a step is given: the stores, the clone as the ledger has it, and the lease to write."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, RowMapping, select

from ..catalog import namespaces
from ..catalog.namespace import Namespace
from ..catalog.schema import clone_resources
from ..ids import id_map_from_json
from ..outputs import CopiedPoints
from ..references import Rewriter
from ..report import StepReport, pace
from ..request import CloneRequest, parse_request
from ..source import Snapshots, is_on_same_server, open_source, reading, refuse_gone
from ..stores import Stores
from ..vectors.port import VectorStore
from . import clones as ledger
from .clones import Clone
from .lease import Lease
from .meter import Meter
from .stored import StoredPlan, left_alone


@dataclass(frozen=True)
class Work:
    """`clone` is as it was when the step began, which was at `started`; `lease` is this run's, and
    `meter` counts the points of this step."""

    stores: Stores
    clone: Clone
    lease: Lease
    started: datetime
    meter: Meter

    @cached_property
    def request(self) -> CloneRequest:
        return parse_request(self.clone.request)

    @cached_property
    def rewriter(self) -> Rewriter:
        return Rewriter(id_map_from_json(self.clone.plan["ids"]))

    def new_rewriter(self) -> Rewriter | None:
        """One more, for another thread. None where points stay as they are: in the native lane."""
        return None if self.is_native else self.noting_rewriter()

    def noting_rewriter(self) -> Rewriter:
        """One that keeps the files it finds, for whoever puts them on record."""
        return Rewriter(self.rewriter.ids, notes_files=True)

    @property
    def is_native(self) -> bool:
        return self.clone.plan["lane"] == "native"

    @property
    def leaves_alone(self) -> bool:
        """Whether no point is read or written, because the source was quiet since what is live was
        proven."""
        return left_alone(self.clone.plan) is not None

    @property
    def target_collection(self) -> str:
        """The Qdrant collection that the clone's points are in."""
        base = self.clone.plan["base"]
        if base is not None and self.leaves_alone:
            return base["qdrant_collection"]
        return self.clone.qdrant_collection

    @property
    def source_collection(self) -> str:
        """The source's Qdrant collection, as the plan found it: no alias that may be switched."""
        return self.clone.plan["source"]["qdrant_collection"]

    @property
    def source_stores(self) -> Stores:
        """The stores that have the source: of another environment, only to be read."""
        return self.stores.source(*self.clone.source_in)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the source is in another environment."""
        return self.clone.source_environment is not None

    @cached_property
    def source(self) -> Namespace:
        """The source's own row."""
        with self.source_stores.catalog.read() as connection:
            return namespaces.by_key(connection, self.clone.source_namespace_key)

    def source_vectors(self, target: VectorStore) -> AbstractContextManager[VectorStore]:
        """The store to read the source's points from: `target` itself where it is the same."""
        return open_source(self.stores, target, self.source, self.clone.source_environment)

    @property
    def is_on_same_server(self) -> bool:
        """Whether the source's points are on the clone's Qdrant server."""
        return is_on_same_server(self.stores, self.source, self.clone.source_environment)

    def reading(self) -> AbstractContextManager[Snapshots]:
        """One snapshot of the clone's catalog and one of the source's."""
        return reading(self.stores, *self.clone.source_in)

    def refuse_gone(self) -> None:
        """Raises Conflict where the source is in another environment, and not there any more."""
        if self.is_elsewhere:
            refuse_gone(
                self.source_stores,
                self.clone.source_namespace_key,
                self.clone.source_namespace_id,
                self.clone.plan["source"]["namespace_name"],
            )

    def planned_namespace(self) -> RowMapping:
        """The namespace as the plan has it: name, ids, document."""
        query = select(clone_resources).where(
            clone_resources.c.clone_id == self.clone.clone_id,
            clone_resources.c.kind == "namespace",
        )
        with self.stores.catalog.read() as connection:
            return connection.execute(query).mappings().one()

    def begin_points(self, doing: str, done: int = 0, total: int | None = None) -> None:
        """From here on the meter counts what is done with the source's points; `total` where it is
        not all of them."""
        plan = self.clone.plan
        total = plan["counts"]["points"] if total is None else total
        limit = self.request.max_points_per_second
        self.meter.begin(doing, total, share_of_bytes(plan, total), done, limit)

    def skip(
        self, step: str, counts: dict[str, int], reason: str = "skipped: not requested"
    ) -> StepReport:
        """Records that a step had nothing to do, and why."""
        report = StepReport(
            clone_id=self.clone.clone_id,
            step=step,
            status="skipped",
            counts=counts,
            details={"reason": reason},
        )
        with self.lease.write() as connection:
            return self.store(connection, report)

    def store(self, connection: Connection, report: StepReport) -> StepReport:
        """Records that the step is done, in the transaction that did it; with its seconds, and the
        pace of its points in these."""
        now = self.stores.clock()
        seconds = round((now - self.started).total_seconds(), 3)
        timed = replace(report, seconds=seconds)
        if isinstance(report.output, CopiedPoints):
            rate = pace(report.output.points_in_this_run or 0, seconds)
            timed = replace(timed, output=replace(report.output, points_per_second=rate))
        ledger.store_report(connection, timed, now)
        return timed


def share_of_bytes(plan: StoredPlan, points: int) -> int:
    """About how large so many of the source's points are."""
    return int(plan["bytes"]["points"] * points / max(1, plan["counts"]["points"]))
