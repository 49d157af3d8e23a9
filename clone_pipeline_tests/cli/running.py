"""The command line in this process: a process of its own costs a second each time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import click

from clone_pipeline.cli import main, output
from clone_pipeline.cli.main import cli


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The document on stdout; fails where there is not exactly one."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line on stderr that says what is wrong, without `Error: `."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("Error: "), self.stderr
        return lines[0].removeprefix("Error: ")


def run(*arguments: str, answers: str | None = None) -> Answer:
    """Runs `clone-pipeline` with these arguments to its end; with `answers`, at a terminal where
    they are typed."""
    out, err, typed = _Text(), _Text(), _Text()
    if answers is not None:
        typed.write(answers)
        typed.seek(0)
        err.at_terminal = typed.at_terminal = True
    code = 0
    with redirect_stdout(out), redirect_stderr(err), _redirect_stdin(typed):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    answer = Answer(code, out.text(), err.text())
    assert "Traceback" not in answer.stderr + answer.stdout
    return answer


def parsed(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """The parameters that a command is called with. As a part of the whole command line, for a
    command keeps the help option that it was first asked for. Raises click.UsageError."""
    whole = click.Context(cli, **cli.context_settings)
    return command.make_context("it", arguments, parent=whole).params


class _redirect_stdin(redirect_stdout[Any]):
    _stream = "stdin"


class _Text(io.TextIOWrapper):
    """As a process has it: encoded, and in UTF-8."""

    at_terminal = False

    def isatty(self) -> bool:
        return self.at_terminal

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self) -> str:
        self.flush()
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode("utf-8")


@contextmanager
def at_width(monkeypatch: Any, columns: int) -> Iterator[None]:
    """A terminal of that width, as far as the output is concerned."""
    with monkeypatch.context() as changed:
        changed.setenv("FORCE_COLOR", "1")
        changed.setenv("COLUMNS", str(columns))
        # A COLUMNS that was there at the start has fixed the console's width.
        changed.setattr(output.stdout, "_width", columns)
        changed.setenv("TERM", "xterm")  # a dumb one is 80 wide, whatever COLUMNS says
        yield
