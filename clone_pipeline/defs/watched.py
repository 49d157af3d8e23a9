"""Whether a step is still wanted, asked where every worker can ask: in Dagster's record of runs.

A launcher may not be able to reach the process of a step: on Celery a cancel is lost with its
message, and a run that was taken for dead may wake up. So the step looks itself.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dagster as dg

from clone_pipeline.core.errors import LeaseLost
from clone_pipeline.core.ledger.beside import repeating
from clone_pipeline.core.ledger.lease_timing import HEARTBEAT_SECONDS

ENDED_BADLY = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_UNWANTED = (*ENDED_BADLY, dg.DagsterRunStatus.CANCELING)


def is_over(context: dg.OpExecutionContext) -> bool:
    """Whether Dagster has the step's run as ended."""
    return _status(context) in ENDED_BADLY


def _status(context: dg.OpExecutionContext) -> dg.DagsterRunStatus | None:
    run = context.instance.get_run_by_id(context.run_id)
    return None if run is None else run.status


@contextmanager
def watched(context: dg.OpExecutionContext, cut_off: Callable[[], None]) -> Iterator[None]:
    """While the block runs: when the run is cancelled or over, it is interrupted as by a signal
    from Dagster; where it has not ended one look later, `cut_off` is called, in another thread.

    Raises LeaseLost where the run is over before the step begins, because it waited for long, and
    DagsterExecutionInterruptedError where it was cancelled between two steps.
    """
    status = _status(context)
    if status in ENDED_BADLY:
        raise LeaseLost("The run is over; this step, which was waiting for its turn, does nothing.")
    if status == dg.DagsterRunStatus.CANCELING:
        raise dg.DagsterExecutionInterruptedError
    told = threading.Event()
    # Signals are heard by the main thread alone, where Dagster runs ops.
    to_interrupt = threading.current_thread() is threading.main_thread()

    def look() -> None:
        with suppress(Exception):  # Dagster's storage is away: the next look says more
            if _status(context) not in _UNWANTED:
                return
            if told.is_set() or not to_interrupt:
                cut_off()
                return
            told.set()
            main = threading.main_thread().ident
            if main is not None:
                signal.pthread_kill(main, signal.SIGINT)

    with repeating("run-watch", HEARTBEAT_SECONDS, look):
        yield
