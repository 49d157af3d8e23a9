"""`report`: one page about a clone or a policy, to look at, to send or to print."""

from pathlib import Path

import click

from clone_pipeline.cli.common import json_option, opened, print_json
from clone_pipeline.cli.naming import NAMESPACE
from clone_pipeline.cli.output import counted, say
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.ledger.history import read_history


@click.command()
@click.argument("name", type=NAMESPACE)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.html",
    help="The file to write; one that is there is replaced.",
)
@click.option(
    "--policy", "of_policy", is_flag=True, help="NAME is a policy, whatever else is called so."
)
@json_option
def report(name: str, output: Path, of_policy: bool, as_json: bool) -> None:
    """Write a page about the clone or the policy NAME: plan, counts, references, proof and seal,
    and all its runs. It needs no script, no network and no store."""
    from clone_pipeline.html_report.render import render

    with opened() as session:
        with session.stores.catalog.read() as connection:
            history = read_history(connection, session.organization_id, name, of_policy=of_policy)
        content = render(history, session.stores.clock())
    try:
        output.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{output} cannot be written: {error.strerror}.") from None
    if as_json:
        print_json(
            {
                "file": str(output),
                "policy": history.policy,
                "namespace_name": None if history.policy else history.name,
                "runs": history.count,
            }
        )
    else:
        say(f"{output} is written: {counted({'runs': history.count})}.")
