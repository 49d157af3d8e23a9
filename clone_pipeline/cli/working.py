"""`work`: helps the runs of this deployment."""

import signal
import time
from types import FrameType

import click

from clone_pipeline.cli.common import opened, reports_errors, tell
from clone_pipeline.core import helping
from clone_pipeline.core.errors import StoreUnavailable


@click.command()
@click.option("--once", is_flag=True, help="End when there is nothing to help with any more.")
@reports_errors
def work(once: bool) -> None:
    """Help the runs of this deployment with large clones, until Ctrl-C.

    Copies and proves points beside the run that makes a clone, as many processes on as many
    machines as are started; idle where there is nothing to do.
    """
    signal.signal(signal.SIGTERM, _end)
    with opened() as session:
        session.must_write()
        helping.refuse_alone(session.stores)
        try:
            _work(helping.Helper(session.stores, tell), once=once)
        except KeyboardInterrupt:
            tell("Stopped; what was begun is given back.")


def _work(helper: helping.Helper, *, once: bool) -> None:
    while True:
        try:
            helped = helper.help()
        except StoreUnavailable as error:
            if once:
                raise
            tell(error.message)
            helped = False
        if not helped:
            if once:
                return
            time.sleep(helping.PAUSE_SECONDS)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does: what it has, others go on with at once."""
    raise KeyboardInterrupt
