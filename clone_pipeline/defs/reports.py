"""What steps hand to each other is what the ledger has: workers need no folder that all can see."""

from typing import Any

import dagster as dg

from clone_pipeline.core.errors import CloneError, StoreUnavailable
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.outputs import Published
from clone_pipeline.core.report import StepReport
from clone_pipeline.defs.outcome import LONGEST_WAIT, MAX_RETRIES


class LedgerIOManager(dg.IOManager):
    """A step's report stands in the ledger before Dagster hears of it, so nothing is written here;
    it is read from there by the run that made it, also by a run that repeats that one."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        return

    def load_input(self, context: dg.InputContext) -> Any:
        """Raises Failure where the ledger has no such report, RetryRequested where it is away."""
        made_by = context.upstream_output
        if made_by is None:
            raise TypeError(f"The input {context.name} comes from no step.")
        stores = context.resources.stores.stores
        try:
            with stores.catalog.read() as connection:
                clone = ledger.of_any_run(connection, made_by.run_id)
                reports = ledger.read_reports(connection, clone.clone_id)
        except StoreUnavailable as error:
            raise dg.RetryRequested(MAX_RETRIES, LONGEST_WAIT) from error
        except CloneError as error:
            raise dg.Failure(error.message, allow_retries=False) from error
        report: StepReport | None = reports.get(made_by.step_key)
        if report is None:
            raise dg.Failure(
                f"The ledger has no report of {made_by.step_key}: it is forgotten when the clone "
                "is planned anew. Launch the clone again instead of from this step.",
                allow_retries=False,
            )
        return Published.of(report).response if report.step == Published.STEP else report


@dg.io_manager(required_resource_keys={"stores"})
def reports_in_the_ledger(_: dg.InitResourceContext) -> LedgerIOManager:
    """Reads what earlier steps have left from the ledger."""
    return LedgerIOManager()
