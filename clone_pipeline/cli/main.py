"""The command group."""

import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from clone_pipeline.cli import (
    adopting,
    bundles,
    clones,
    comparing,
    environments,
    keys,
    namespaces,
    policies,
    reporting,
    serving,
    sweeping,
    templates,
    working,
)
from clone_pipeline.cli.common import BAD_INPUT, FAILED, end
from clone_pipeline.cli.naming import Chosen
from clone_pipeline.core.errors import InvalidRequest


@click.group(
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("clone-pipeline"))
@click.option(
    "--environment",
    metavar="NAME",
    help="The environment to work in, by its name in CLONE_ENVIRONMENTS; NAME:NAMESPACE says so "
    "where a namespace is named.",
)
@click.pass_context
def cli(context: click.Context, environment: str | None) -> None:
    """Clone a namespace: planned, resumable, proven equal to its source, published in one step."""
    context.obj = Chosen(environment)


for command in (
    clones.demo,
    adopting.adopt,
    adopting.release,
    bundles.load,
    bundles.dump,
    clones.plan,
    clones.clone,
    clones.resume,
    clones.restore,
    namespaces.list_namespaces,
    namespaces.show,
    reporting.report,
    namespaces.verify,
    comparing.diff,
    namespaces.delete,
    namespaces.rollback,
    sweeping.sweep,
    policies.policies,
    environments.environments,
    templates.templates,
    keys.keys,
    serving.serve,
    working.work,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Every way out has the contract's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal does not know is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(given, prog_name="clone-pipeline", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        end(_sentence(error), InvalidRequest.code, BAD_INPUT, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        end("Interrupted.", "interrupted", FAILED, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the output has had enough; the interpreter must not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        click.echo(f"Error: The output cannot be written: {error.strerror or error}.", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _sentence(error: click.ClickException) -> str:
    sentence = " ".join(error.format_message().split())
    if not sentence.endswith((".", "?", "!")):
        sentence += "."
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{sentence} See `{context.command_path} --help`." if context else sentence
