"""`report`: one page about a clone or a policy, to look at, to send or to print."""

from pathlib import Path

import click

from clone_pipeline.cli.common import json_option, opened, print_json
from clone_pipeline.cli.naming import NAMESPACE
from clone_pipeline.cli.output import counted, say
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.ledger.history import History
from clone_pipeline.policies.rules import backup_policies


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
    and all its runs; of archives why each stays. It needs no script, no network and no store."""
    from clone_pipeline.core.archives.history import read_any_history
    from clone_pipeline.html_report.render import render

    with opened(to_look=True) as session:
        policies = backup_policies(session.settings)
        history = read_any_history(
            session.stores, session.organization_id, name, policies, of_policy=of_policy
        )
        content = render(history, session.stores.clock())
    try:
        output.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{output} cannot be written: {error.strerror}.") from None
    of_one = history.name if isinstance(history, History) and history.policy is None else None
    if as_json:
        print_json(
            {
                "file": str(output),
                "policy": history.policy,
                "namespace_name": of_one,
                "runs": history.count,
            }
        )
    else:
        say(f"{output} is written: {counted({'runs': history.count})}.")
