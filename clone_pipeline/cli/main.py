"""The command group."""

import sys
from importlib.metadata import version

import click

from clone_pipeline.cli import clones, keys, namespaces
from clone_pipeline.cli.common import BAD_INPUT, FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("clone-pipeline"))
def cli() -> None:
    """Clone a namespace: planned, resumable, proven equal to its source, published in one step."""


for command in (
    clones.demo,
    namespaces.load,
    namespaces.dump,
    clones.plan,
    clones.clone,
    clones.resume,
    namespaces.list_namespaces,
    namespaces.show,
    namespaces.verify,
    namespaces.delete,
    namespaces.rollback,
    keys.keys,
):
    cli.add_command(command)


def main() -> None:
    """The entry point. Every way out has the contract's exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.UsageError as error:
        hint = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
        click.echo(f"Error: {error.format_message()}{hint}", err=True)
        sys.exit(BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
