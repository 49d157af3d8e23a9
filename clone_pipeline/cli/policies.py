"""`policies`: a file checked before it is deployed, and a policy run now."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from clone_pipeline.cli.clones import BAD_INPUT_CODES, print_outcome, run_clone
from clone_pipeline.cli.common import (
    BAD_INPUT,
    FAILED,
    RunFailed,
    Session,
    json_option,
    opened,
    print_json,
)
from clone_pipeline.cli.naming import chosen
from clone_pipeline.cli.output import counted, print_table, say
from clone_pipeline.core.archives import records as archives
from clone_pipeline.core.errors import InProgress, InvalidRequest, NotFound
from clone_pipeline.core.request import parse_request
from clone_pipeline.policies import BackupPolicy, Policies, RefreshPolicy, Target, read_policies
from clone_pipeline.policies.targets import KINDS
from clone_pipeline.settings import load_settings, read_variable


@click.group(no_args_is_help=False)
def policies() -> None:
    """Check a policies file, or run one of its policies now."""


@policies.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--notify", is_flag=True, help="Also send a test message to each target.")
@json_option
def check(file: Path, notify: bool, as_json: bool) -> None:
    """Say what is wrong with the policies FILE, and what is in it. Needs no store.

    Exit code 2 means that something is wrong; 1 that a target could not be reached.
    """
    read = read_policies(file)
    failed = _send_test(read) if notify else None
    rows = [_row(kind, policy) for kind, policy in _all(read)]
    targets = [_target_row(target, failed) for target in read.notify]
    problems = [str(problem) for problem in read.problems]
    if as_json:
        print_json({"policies": rows, "notify": targets, "problems": problems})
    else:
        print_table("Policies", rows)
        if targets:
            print_table("Told when something is wrong", targets)
        for said in (*problems, *filter(None, (failed or {}).values())):
            say(said)
        if not problems:
            counts = {"backups": len(read.backups), "refreshes": len(read.refreshes)}
            say(f"{file} is in order: {counted(counts)}.")
    if problems:
        raise SystemExit(BAD_INPUT)
    if failed and any(failed.values()):
        raise SystemExit(FAILED)


def _send_test(read: Policies) -> dict[str, str | None]:
    """By target: why it was not reached, None if it was."""
    # Late: an HTTP client takes a while to import.
    from clone_pipeline.notify.deliver import deliver
    from clone_pipeline.notify.told import Event

    now = datetime.now(timezone.utc)
    test = Event("test", now, "This is a test; nothing is wrong.")
    return deliver([(target, [test]) for target in read.notify], lambda: now)


@policies.command("run")
@click.argument("name")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
@json_option
def run(name: str, verbose: bool, as_json: bool) -> None:
    """Run the policy NAME of the file that CLONE_POLICIES names now, as its schedule would.

    A backup that is made so counts as one of the policy's.
    """
    policy = _find(load_settings().policies, name)
    # It works where it writes.
    chosen().environment = policy.target_environment
    with opened() as session:
        if isinstance(policy, BackupPolicy) and policy.to is not None:
            found = _archive(session, policy, verbose=verbose)
            if as_json:
                print_json(found)
            else:
                say(f"Written to {found['address']}: {counted({'points': found['points']})}.")
            return
        kind, request = _asked(policy, session.stores.clock())
        tags = _tags(session, policy.name, kind, request["namespace_name"])
        clone = run_clone(session, parse_request(request), verbose=verbose, tags=tags)
    print_outcome(clone, as_json=as_json)


def _archive(session: Session, policy: BackupPolicy, *, verbose: bool) -> dict[str, Any]:
    """Writes an archive of the policy, in a run as its schedule launches it; what the ledger has of
    it. Raises RunFailed."""
    from clone_pipeline.launch import ARCHIVE_JOB, failure, open_instance, run_job

    session.must_write()
    name = policy.clone_name(session.stores.clock())
    config = policy.archive_config(name)
    tags = _tags(session, policy.name, "backup", name)
    with open_instance(session.settings) as instance:
        result = run_job(instance, config, quiet=not verbose, tags=tags, job=ARCHIVE_JOB)
    if not result.success:
        said, code = failure(result)
        raise RunFailed(said, code, BAD_INPUT if code in BAD_INPUT_CODES else FAILED)
    with session.stores.catalog.read() as connection:
        made = archives.find(connection, session.organization_id, config["address"])
    return made[-1].to_json()


def _find(file: Path | None, name: str) -> BackupPolicy | RefreshPolicy:
    if file is None:
        raise InvalidRequest("CLONE_POLICIES names no policies file.")
    read = read_policies(file)
    for _, policy in _all(read):
        if policy.name == name:
            return policy
    wrong = f" ({read.problems[0]})" if read.problems else ""
    raise NotFound(f"{file} has no usable policy {name!r}{wrong}.")


def _asked(policy: BackupPolicy | RefreshPolicy, now: datetime) -> tuple[str, dict[str, Any]]:
    if isinstance(policy, BackupPolicy):
        return "backup", policy.request(policy.clone_name(now))
    return "refresh", policy.request()


def _tags(session: Session, policy: str, kind: str, target: str) -> dict[str, str]:
    """Those of the policy's own runs. Raises InProgress while one of them is under way."""
    # Imported late: Dagster takes a second, which a check need not wait for.
    from clone_pipeline.defs.automation import policy_tags, run_under_way
    from clone_pipeline.launch import open_instance

    with open_instance(session.settings) as instance:
        running = run_under_way(instance, policy)
    if running is not None:
        raise InProgress(f"The run {running} of the policy {policy!r} is under way.")
    return policy_tags(policy, kind, target)


def _all(read: Policies) -> Iterator[tuple[str, BackupPolicy | RefreshPolicy]]:
    yield from (("backup", one) for one in read.backups)
    yield from (("refresh", one) for one in read.refreshes)


def _row(kind: str, policy: BackupPolicy | RefreshPolicy) -> dict[str, Any]:
    if isinstance(policy, BackupPolicy):
        makes = policy.address(policy.clone_names) or policy.clone_names
    else:
        makes = policy.target
    when = f"{policy.cron} ({policy.timezone})" if policy.cron else "when the source has changed"
    return {
        "policy": policy.name,
        "kind": kind,
        "source": policy.source,
        "makes": makes,
        "when": when if policy.enabled else "disabled",
    }


def _target_row(target: Target, failed: dict[str, str | None] | None) -> dict[str, Any]:
    """What was sent, or else which variables are still to be set where the code location runs."""
    unset = [name for name in target.variables if read_variable(name) is None]
    row: dict[str, Any] = {"target": target.name, "where": target.where}
    row["kinds"] = "all" if len(target.kinds) == len(KINDS) else ", ".join(target.kinds)
    if failed is not None:
        row["test"] = "not reached" if failed[target.name] else "reached"
    else:
        row["not set here"] = ", ".join(unset)
    return row
