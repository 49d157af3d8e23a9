"""Before something is removed or replaced: a question at a terminal, `--yes` everywhere else."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from clone_pipeline.core.errors import InvalidRequest

Command = TypeVar("Command", bound=Callable[..., Any])


class Declined(Exception):
    """The answer was no: nothing is done, and nothing is wrong."""


def yes_option(command: Command) -> Command:
    """`--yes`, for a command that asks before it removes something."""
    return click.option(
        "--yes", is_flag=True, help="Do not ask; needed where there is no terminal to ask at."
    )(command)


def confirm(question: Callable[[], str], *, yes: bool) -> None:
    """Asks, unless `yes` was said before. The question says what goes.

    Raises Declined, and InvalidRequest where there is no terminal: what is piped in is no answer.
    """
    if yes:
        return
    asked = question()
    need_terminal(asked)
    if not click.confirm(asked, err=True):
        raise Declined


def need_terminal(asked: str) -> None:
    """Raises InvalidRequest where nobody can be asked; it says what would have been."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest(
            f"{asked} Not done: there is no terminal to ask at; say so with `--yes`."
        )
