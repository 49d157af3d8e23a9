"""Commands that make clones: plan, clone, resume, demo."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from clone_pipeline.cli.asking import confirm, yes_option
from clone_pipeline.cli.common import (
    BAD_INPUT,
    FAILED,
    RunFailed,
    Session,
    json_option,
    opened,
    print_json,
    tell,
)
from clone_pipeline.cli.naming import NAMESPACE, chosen, split
from clone_pipeline.cli.output import counted, print_plan, print_summary, say
from clone_pipeline.cli.progress import Progress
from clone_pipeline.core import errors
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.errors import CloneError, Conflict, InvalidRequest
from clone_pipeline.core.generations.alias import settle
from clone_pipeline.core.generations.rollback import resume_refreshes
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.outputs import Published
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.plan.parties import Parties
from clone_pipeline.core.plan.resolve import resolve_parties
from clone_pipeline.core.plan.restore import by_hand
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.request import CloneRequest, IncludeResources, parse_request
from clone_pipeline.core.source import reading_for
from clone_pipeline.core.words import as_text

Command = TypeVar("Command", bound=Callable[..., Any])

BAD_INPUT_CODES = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RequestError)
}


def request_options(command: Command) -> Command:
    """The request's fields as options, in its own order and with its own descriptions."""
    arguments = ("namespace_identifier", "namespace_name", "include_resources")
    named = [name for name in CloneRequest.model_fields if name not in arguments]
    command = _field_options(*named)(command)
    for name, info in reversed(IncludeResources.model_fields.items()):
        flag = f"--{name}/--no-{name}"
        command = click.option(
            flag, default=info.default, show_default=True, help=info.description
        )(command)
    command = click.argument("namespace_name", metavar="NAME")(command)
    return click.argument("namespace_identifier", metavar="SOURCE")(command)


def _option(name: str, annotation: Any, text: str) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    default = CloneRequest.model_fields[name].default
    if annotation is bool:
        return click.option(flag, is_flag=True, default=default, help=text)
    choices = [value for value in get_args(annotation) if isinstance(value, str)]
    if choices:
        kind: Any = click.Choice(choices)
        return click.option(flag, type=kind, default=default, show_default=True, help=text)
    return click.option(flag, type=int if int in get_args(annotation) else str, help=text)


def _field_options(*names: str) -> Callable[[Command], Command]:
    """These fields of the request as options."""

    def decorated(command: Command) -> Command:
        for name in reversed(names):
            info = CloneRequest.model_fields[name]
            command = _option(name, info.annotation, info.description or "")(command)
        return command

    return decorated


def _request(options: dict[str, Any]) -> CloneRequest:
    """The parameters of a command have the names of the request's fields."""
    include = {key: options.pop(key) for key in IncludeResources.model_fields}
    return parse_request({"include_resources": include, **options, **_environments(options)})


def _environments(options: dict[str, Any]) -> dict[str, Any]:
    """Source and target without their environments, and these: what neither names nor an option
    says is the one to work in, in which the command works from here on."""
    found: dict[str, Any] = {}
    known = chosen()
    for name, key in (
        ("namespace_identifier", "source_environment"),
        ("namespace_name", "target_environment"),
    ):
        environment, found[name] = split(options[name])
        asked = options.get(key)
        if None not in (environment, asked) and environment != asked:
            raise InvalidRequest(f"{options[name]!r} is not in the environment {asked!r}.")
        found[key] = asked or environment or known.environment
    known.environment = found["target_environment"]
    return found


@click.command()
@request_options
@json_option
def plan(as_json: bool, **options: Any) -> None:
    """Show what cloning SOURCE into NAME would do. Writes nothing."""
    request = _request(options)
    with opened() as session:
        made = dry_run.plan(session.stores, request, session.principal).shown()
    if as_json:
        print_json({key: value for key, value in made.items() if key != "ids"})
    else:
        print_plan(made)


@click.command()
@request_options
@yes_option
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
@json_option
def clone(yes: bool, verbose: bool, as_json: bool, **options: Any) -> None:
    """Clone the namespace SOURCE into a new one named NAME."""
    request = _request(options)
    with opened() as session:
        _ask_to_adopt(session, request, yes=yes)
        print_outcome(run_clone(session, request, verbose=verbose), as_json=as_json)


@click.command()
@click.argument("namespace_identifier", metavar="BACKUP")
@click.argument("namespace_name", metavar="NAME")
@_field_options(
    "on_dangling",
    "if_exists",
    "adopt",
    "alias",
    "organization_id",
    "lane",
    "verify_objects",
    "files",
    "max_points_per_second",
    "source_environment",
    "target_environment",
)
@yes_option
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
@json_option
def restore(yes: bool, verbose: bool, as_json: bool, **options: Any) -> None:
    """Make a working namespace NAME out of BACKUP: same ids, and what was cleared put back.

    Secrets were not kept: it says which ones have to be set by hand.
    """
    everything = dict.fromkeys(IncludeResources.model_fields, True)
    asked = {"restore": True, "preserve_resource_ids": True, **everything}
    request = _request(asked | options)
    with opened() as session:
        _ask_to_adopt(session, request, yes=yes)
        found = run_clone(session, request, verbose=verbose)
        if as_json:
            for entry in found.plan["by_hand"]:
                tell(by_hand(entry))
        print_outcome(found, as_json=as_json)


@click.command()
@click.argument("name", type=NAMESPACE)
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
@json_option
def resume(name: str, verbose: bool, as_json: bool) -> None:
    """Continue the failed or killed clone NAME where it stopped.

    After a rollback: let the policies go on that refresh NAME.
    """
    with opened() as session:
        live, found = _find_clone(session, name)
        if live.qdrant_alias is not None:
            session.must_write()
            # Should a publication or a rollback have been cut off before it.
            settle(session.stores, live)
        if live.held_at is not None:
            _resume_refreshes(session, live, as_json=as_json)
            return
        if found is None:
            raise Conflict(f"{live.name!r} is not a clone; there is nothing to resume.")
        if found.status == "ready":
            tell(f"{live.name!r} is ready; there is nothing to resume.")
        else:
            request = parse_request(found.request)
            found = run_clone(session, request, verbose=verbose)
        print_outcome(found, as_json=as_json)


@click.command()
@click.option(
    "--change",
    metavar="[NAME]",
    is_flag=False,
    flag_value="",
    help="Only change the demo namespace as its owner would, so that what follows it has to; with "
    "NAME that clone of it.",
)
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
@json_option
def demo(change: str | None, verbose: bool, as_json: bool) -> None:
    """Load the demo namespace, clone it, and search both with the clone's own retriever."""
    from clone_pipeline.cli import demo as run

    with opened() as session:
        session.must_write()
        if change is not None:
            changed = run.change(session.stores, session.principal, change or None)
            if as_json:
                print_json(changed)
            else:
                say(run.SAID_OF_CHANGE.format(**changed))
            return
        request = run.prepare(session.stores, session.principal, tell)
        outcome = run_clone(session, request, verbose=verbose)
        shown = run.search_both(session.stores, outcome)
        print_outcome(outcome, as_json=as_json)
        run.print_search(shown, as_json=as_json)


def run_clone(
    session: Session,
    request: CloneRequest,
    *,
    verbose: bool,
    tags: Mapping[str, str] | None = None,
) -> Clone:
    """Runs the job to its end and returns the ledger's row of the published clone. `tags` are the
    run's, besides the job's own.

    Raises what is wrong with the request before a run is started, RunFailed after.
    """
    # Imported late: Dagster takes a second, which other commands need not wait for.
    from clone_pipeline.launch import failure, open_instance, run_job

    session.must_write()
    _parties(session, request)
    with (
        open_instance(session.settings) as instance,
        Progress(session.stores, request, shown=not verbose),
    ):
        result = run_job(instance, request.model_dump(), quiet=not verbose, tags=tags or {})
    if not result.success:
        said, code = failure(result)
        _record_failure(session, result.run_id, as_text(said))
        raise RunFailed(said, code, BAD_INPUT if code in BAD_INPUT_CODES else FAILED)
    with session.stores.catalog.read() as connection:
        return ledger.of_run(connection, result.run_id)


def _parties(session: Session, request: CloneRequest) -> Parties:
    """Raises what is wrong with the request, as far as the catalog tells."""
    with reading_for(session.stores, request) as snapshots:
        return resolve_parties(snapshots, request, session.principal)


def _ask_to_adopt(session: Session, request: CloneRequest, *, yes: bool) -> None:
    """Before something is replaced that is not our own clone of the same source."""
    session.must_write()
    parties = _parties(session, request)
    taken = parties.replaces
    if taken is None or not parties.adopts:
        return

    def question() -> str:
        points = counted({"points": session.count_points([taken.qdrant_collection])})
        return (
            f"Replace {taken.name} ({taken.namespace_id}, generation {taken.generation}, "
            f"{points})? It is not a clone of {parties.source.name}. A rollback brings it back."
        )

    confirm(question, yes=yes)


def _record_failure(session: Session, run_id: str, sentence: str) -> None:
    """For a run that ended between two steps, or whose step was killed: it could not say so."""
    try:
        with session.stores.catalog.read() as connection:
            found = ledger.of_run(connection, run_id)
        if found.status == "cloning":
            ledger.end_run(session.stores, found.clone_id, run_id, sentence)
    except CloneError:
        return  # it made no clone, or the catalog cannot be reached: its sentence says so


def _find_clone(session: Session, identifier: str) -> tuple[Namespace, Clone | None]:
    """What stands under a name, and the clone that is being made there, else the one that made
    it; None for a namespace that is no clone."""
    with session.stores.catalog.read() as connection:
        namespace = catalog.resolve(connection, session.organization_id, identifier)
        unfinished = ledger.unfinished(connection, namespace.organization_id, namespace.name)
        if unfinished is not None or namespace.clone_id is None:
            return namespace, unfinished
        return namespace, ledger.get(connection, namespace.clone_id)


def _resume_refreshes(session: Session, live: Namespace, *, as_json: bool) -> None:
    session.must_write()
    resume_refreshes(session.stores, live)
    if as_json:
        print_json({"namespace_id": live.namespace_id, "refreshes_resumed": True})
    else:
        say(f"Policies that refresh {live.name} go on: each refreshes it when its turn comes.")


def print_outcome(found: Clone, *, as_json: bool) -> None:
    """What a clone has come to."""
    response: Mapping[str, Any] = found.response or {}
    if as_json:
        print_json(response)
        return
    with opened() as session, session.stores.catalog.read() as connection:
        reports = ledger.read_reports(connection, found.clone_id)
    report: StepReport = reports["publish_clone"]
    print_summary(
        response,
        Published.of(report),
        report.warnings,
        restored=parse_request(found.request).restore,
        replaced=found.plan["target"]["replaces_generation"],
    )
