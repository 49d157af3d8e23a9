"""Commands about namespaces as they are: list, show, verify, delete, rollback."""

from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy import Connection

from clone_pipeline.cli.archives import show_archives
from clone_pipeline.cli.asking import confirm, yes_option
from clone_pipeline.cli.common import FAILED, Session, json_option, opened, print_json
from clone_pipeline.cli.naming import NAMESPACE, split
from clone_pipeline.cli.output import counted, print_table, say, what_there_is
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.model import namespace_model
from clone_pipeline.core.catalog.namespace import UNREADABLE, Namespace
from clone_pipeline.core.files.remove import read_owned
from clone_pipeline.core.generations.delete import Admitted, check_deletable, delete_clone
from clone_pipeline.core.generations.rollback import find_rollback
from clone_pipeline.core.generations.rollback import rollback as bring_back
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.request import LARGEST_NUMBER
from clone_pipeline.core.verify import verify_pair, verify_sealed


@click.command("list")
@click.option("--archives", is_flag=True, help="Archives that policies have written, instead.")
@json_option
def list_namespaces(archives: bool, as_json: bool) -> None:
    """List namespaces with their clone state, or archives."""
    if archives:
        show_archives(as_json=as_json)
        return
    with opened(to_look=True) as session, session.stores.catalog.read() as connection:
        listed = catalog.list_all(connection, session.organization_id)
        rows = [_listed(connection, namespace) for namespace in listed]
        names = {namespace.namespace_id: namespace.name for namespace in listed}
    if as_json:
        print_json(rows)
        return
    print_table("Namespaces", [_line(row, names) for row in rows])
    for row in rows:
        if reason := row["unreadable"]:
            say(f"{row['namespace_name']} cannot be read from the catalog: {reason}.")
        for error in filter(None, (row["clone_error"], row["replacement_error"])):
            say(f"{row['namespace_name']}: {error}")


def _listed(connection: Connection, namespace: Namespace) -> dict[str, Any]:
    shown = namespace_model(connection, namespace)
    found = ledger.unfinished(connection, namespace.organization_id, namespace.name)
    replacement = found if found and found.namespace_key != namespace.key else None
    return {
        "namespace_name": namespace.name,
        "namespace_id": namespace.namespace_id,
        "organization_id": namespace.organization_id,
        "generation": namespace.generation,
        "clone_status": namespace.clone_status,
        "clone_error": shown.get("clone_error"),
        "unreadable": shown.get(UNREADABLE),
        "expires_at": shown.get("expires_at"),
        "adopted": namespace.adopted_at is not None,
        "qdrant_alias": namespace.qdrant_alias,
        "refreshes_held": namespace.held_at is not None,
        "replacement_status": replacement and replacement.status,
        "replacement_error": replacement and replacement.error,
        "source_namespace_id": shown.get("source_namespace_id"),
        **ledger.proof(connection, namespace.clone_id),
        "collections": shown["collection_count"],
        "objects": shown["object_count"],
        "points": shown.get("document_count"),
        "created_at": shown.get("created_at"),
    }


def _line(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What a person looks for, in the width of a terminal; `names` of the namespaces by id."""
    return {
        "name": row["namespace_name"],
        "id": row["namespace_id"],
        "organization": row["organization_id"],
        "state": ", ".join(filter(None, _states(row))),
        "clone of": _origin(row, names),
        "cloned at (UTC)": _minute(row["cloned_at"]),
        "points": row["points"],
    }


def _origin(row: dict[str, Any], names: dict[str, str]) -> str | None:
    source: str | None = row["source_namespace_id"]
    if row["source_environment"] is not None:
        return f"{row['source_environment']}:{source}"
    return None if source is None else names.get(source, source)


def _states(row: dict[str, Any]) -> Iterator[str | None]:
    yield "UNREADABLE" if row["unreadable"] else None
    yield row["clone_status"]
    yield "adopted" if row["adopted"] else None
    yield f"generation {row['generation']}" if row["generation"] > 1 else None
    yield "ids kept" if row["ids_kept"] else None
    yield row["qdrant_alias"] and f"alias {row['qdrant_alias']}"
    yield "rolled back, refreshes held" if row["refreshes_held"] else None
    yield row["policy"] and f"for policy {row['policy']}"
    yield row["proven"] and ("proven" if row["proven"] == "full" else "not proven")
    yield row["restore_test"] and _tested(row["restore_test"])
    yield row["expires_at"] and f"expires at {_minute(row['expires_at'])} UTC"
    yield row["replacement_status"] and f"replacement {row['replacement_status']}"


def _tested(test: dict[str, Any]) -> str:
    how = "proven restorable" if test["good"] else "RESTORE TEST FAILED"
    return f"{how} at {_minute(test['tested_at'])} UTC"


def _minute(moment: str | None) -> str | None:
    return moment and moment[:16].replace("T", " ")


@click.command()
@click.argument("namespace", metavar="NAME", type=NAMESPACE)
@json_option
def show(namespace: str, as_json: bool) -> None:
    """Print one namespace, by id or name, as NamespaceModel JSON."""
    with opened(to_look=True) as session, session.stores.catalog.read() as connection:
        found = catalog.resolve(connection, session.organization_id, namespace)
        print_json(namespace_model(connection, found))


@click.command()
@click.argument("names", metavar="[SOURCE] CLONE", nargs=-1, required=True)
@json_option
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Prove that CLONE is still what was published; with SOURCE, compare the two as they are now.

    Exit code 1 means that the clone changed since it was published, and differs.
    """
    if len(names) > 2:
        raise click.UsageError("Give a clone, or its source and the clone.")
    # Where the source is, the clone itself says.
    *sources, clone = [split(name)[1] for name in names[:-1]] + [NAMESPACE(names[-1])]
    with opened() as session:
        if sources:
            sources_of = None if session.principal.role == "admin" else session.organization_id
            verdict = verify_pair(
                session.stores, session.organization_id, sources[0], clone, sources_of=sources_of
            )
        else:
            verdict = verify_sealed(session.stores, session.organization_id, clone)
    if as_json:
        print_json(verdict.to_json())
    else:
        say(verdict.sentence)
        say(f"Compared: {what_there_is(verdict.compared)}.")
        if verdict.differences:
            print_table("Differences", verdict.differences.to_json())
    if not verdict.good:
        raise SystemExit(FAILED)


@click.command()
@click.argument("name", type=NAMESPACE)
@click.option("--loaded", is_flag=True, help="Also what is no clone, but was made by `load`.")
@click.option("--last-backup", is_flag=True, help="Also the last proven backup of a policy.")
@yes_option
@json_option
def delete(name: str, loaded: bool, last_backup: bool, yes: bool, as_json: bool) -> None:
    """Delete a clone: its rows, its Qdrant collection, and the S3 files that were copied for it."""
    admitted = Admitted(loaded, last_backup)
    with opened() as session:
        session.must_write()
        found, doomed, remains = check_deletable(
            session.stores, session.organization_id, name, admitted
        )
        confirm(lambda: _what_goes(session, found, doomed, remains), yes=yes)
        gone = delete_clone(session.stores, session.organization_id, name, admitted)
    if as_json:
        print_json({"namespace_id": found.namespace_id, "generations_deleted": len(gone)})
    elif not gone:
        click.echo(f"What was left of the replacement of {found.name} is gone; it stays itself.")
    else:
        how_many = counted({"generations": len(gone)})
        click.echo(f"{found.name} ({found.namespace_id}) is deleted, {how_many}.")


@click.command()
@click.argument("name", type=NAMESPACE)
@click.option(
    "--to",
    type=click.IntRange(1, LARGEST_NUMBER),
    metavar="GENERATION",
    help="Another one that is still kept.",
)
@yes_option
@json_option
def rollback(name: str, to: int | None, yes: bool, as_json: bool) -> None:
    """Bring back the earlier generation of a namespace that was replaced last.

    Policies that refresh it are held until `resume NAME`, or a refresh by hand.
    """
    with opened() as session:
        session.must_write()
        with session.stores.catalog.read() as connection:
            live, back = find_rollback(connection, session.organization_id, name, to)
        confirm(lambda: _what_changes(session, live, back), yes=yes)
        now = bring_back(session.stores, session.organization_id, name, to)
    held = now.held_at is not None
    if as_json:
        result = {"namespace_id": now.namespace_id, "generation": now.generation}
        print_json(result | {"refreshes_held": held})
        return
    click.echo(f"{now.name} is generation {now.generation} again.")
    if held:
        click.echo(f"Policies that refresh it are held until `clone-pipeline resume {now.name}`.")


def _what_goes(
    session: Session, live: Namespace, doomed: list[Namespace], remains: Clone | None
) -> str:
    """The question before a deletion."""
    who = f"{live.name} ({live.namespace_id})"
    if remains is not None and not doomed:
        points = session.count_points([remains.qdrant_collection])
        with session.stores.catalog.read() as connection:
            owned = read_owned(connection, [remains.clone_id])
        what = counted({"points": points}) + (f", and {owned}" if owned.files else "")
        return f"Discard what is left of a replacement of {who}: {what}?"
    with session.stores.catalog.read() as connection:
        policy = ledger.proof(connection, live.clone_id)["policy"]
        owned = read_owned(connection, [one.clone_id for one in doomed])
    origin = f", which was made for policy {policy}" if policy else ""
    if live.clone_id is None:
        origin = ", which was loaded and is no clone"
    points = session.count_points(one.qdrant_collection for one in doomed)
    parts = {"generations": len(doomed), "points": points}
    files = f", and {owned}" if owned.files else ""
    return f"Delete {who}{origin}: {counted(parts)}{files}?"


def _what_changes(session: Session, live: Namespace, back: Namespace) -> str:
    """The question before a rollback."""
    before, after = (
        counted({"points": session.count_points([one.qdrant_collection])}) for one in (live, back)
    )
    return (
        f"Put generation {back.generation} of {live.name} ({live.namespace_id}; {after}) in the "
        f"place of generation {live.generation} ({before}), and hold the policies that refresh it?"
    )
