"""Commands about namespaces as they are: load, dump, list, show, verify, delete, rollback."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

# `bundle` is imported where it is used: it brings the Qdrant client, which takes most of a second.
from clone_pipeline.cli.common import (
    FAILED,
    json_option,
    opened,
    print_json,
    tell,
)
from clone_pipeline.cli.output import counted, print_table, say
from clone_pipeline.core import ledger
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespaces import Namespace
from clone_pipeline.core.discard import delete_clone
from clone_pipeline.core.errors import Forbidden
from clone_pipeline.core.publish import rollback as bring_back
from clone_pipeline.core.verify import verify_pair, verify_sealed


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def load(folder: Path, as_json: bool) -> None:
    """Load a namespace from a bundle folder: all of it, or nothing."""
    from clone_pipeline.core import bundle

    with opened() as session:
        session.must_write()
        with session.stores.vectors() as vectors:
            report = bundle.load(
                folder,
                session.stores.catalog,
                vectors,
                session.stores.clock(),
                None if as_json else _progress(),
                session.principal,
            )
    result = {
        "namespace_id": report.namespace_id,
        "namespace_name": report.namespace_name,
        "organization_id": report.organization_id,
        **report.counts,
    }
    if as_json:
        print_json(result)
    else:
        where = f"{report.namespace_name} ({report.namespace_id}, {report.organization_id})"
        say(f"Loaded {where}: {counted(report.counts)}.")


@click.command()
@click.argument("namespace")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def dump(namespace: str, folder: Path, as_json: bool) -> None:
    """Write a namespace, by id or name, to a bundle folder."""
    from clone_pipeline.core import bundle

    with opened() as session:
        if not session.principal.may_write():
            raise Forbidden("A dump holds the namespace's secrets too; a read-only key gets none.")
        stores = session.stores
        with stores.catalog.read() as connection:
            found = catalog.resolve(connection, session.organization_id, namespace)
        with (
            stores.vectors() as own,
            stores.source_vectors(own, found.qdrant_url, found.qdrant_api_key) as vectors,
        ):
            counts = bundle.dump(stores.catalog, vectors, found.key, folder)
    result = {"namespace_id": found.namespace_id, "namespace_name": found.name, **counts}
    if as_json:
        print_json(result)
    else:
        say(f"Written to {folder}: {counted(counts)}.")


@click.command("list")
@json_option
def list_namespaces(as_json: bool) -> None:
    """List namespaces with their clone state."""
    with opened() as session, session.stores.catalog.read() as connection:
        listed = catalog.list_all(connection, session.organization_id)
        rows = [_listed(connection, namespace) for namespace in listed]
        names = {namespace.namespace_id: namespace.name for namespace in listed}
    if as_json:
        print_json(rows)
        return
    print_table("Namespaces", [_line(row, names) for row in rows])
    for row in rows:
        for error in filter(None, (row["clone_error"], row["replacement_error"])):
            say(f"{row['namespace_name']}: {error}")


def _listed(connection: Connection, namespace: Namespace) -> dict[str, Any]:
    shown = catalog.model(connection, namespace)
    found = ledger.unfinished(connection, namespace.organization_id, namespace.name)
    replacement = found if found and found.namespace_key != namespace.key else None
    return {
        "namespace_name": namespace.name,
        "namespace_id": namespace.namespace_id,
        "organization_id": namespace.organization_id,
        "generation": namespace.generation,
        "clone_status": namespace.clone_status,
        "clone_error": shown.get("clone_error"),
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
    states = [row["clone_status"]]
    if row["generation"] > 1:
        states.append(f"generation {row['generation']}")
    if row["ids_kept"]:
        states.append("ids kept")
    if row["refreshes_held"]:
        states.append("rolled back, refreshes held")
    if row["policy"]:
        proven = "proven" if row["proven"] == "full" else "not proven"
        states.append(f"for policy {row['policy']}, {proven}")
    if tested := row["restore_test"]:
        how = "proven restorable" if tested["good"] else "RESTORE TEST FAILED"
        states.append(f"{how} at {_minute(tested['tested_at'])}")
    if row["replacement_status"]:
        states.append(f"replacement {row['replacement_status']}")
    return {
        "name": row["namespace_name"],
        "id": row["namespace_id"],
        "organization": row["organization_id"],
        "state": ", ".join(filter(None, states)),
        "clone of": names.get(row["source_namespace_id"], row["source_namespace_id"]),
        "cloned at (UTC)": _minute(row["cloned_at"]),
        "points": row["points"],
    }


def _minute(moment: str | None) -> str | None:
    return moment and moment[:16].replace("T", " ")


@click.command()
@click.argument("namespace", metavar="NAME")
@json_option
def show(namespace: str, as_json: bool) -> None:
    """Print one namespace, by id or name, as NamespaceModel JSON."""
    with opened() as session, session.stores.catalog.read() as connection:
        found = catalog.resolve(connection, session.organization_id, namespace)
        print_json(catalog.model(connection, found))


@click.command()
@click.argument("names", metavar="[SOURCE] CLONE", nargs=-1, required=True)
@json_option
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Prove that CLONE is still what was published; with SOURCE, compare the two as they are now.

    Exit code 1 means that the clone changed since it was published, and differs.
    """
    if len(names) > 2:
        raise click.UsageError("Give a clone, or its source and the clone.")
    with opened() as session:
        if len(names) == 2:
            sources_of = None if session.principal.role == "admin" else session.organization_id
            verdict = verify_pair(
                session.stores, session.organization_id, *names, sources_of=sources_of
            )
        else:
            verdict = verify_sealed(session.stores, session.organization_id, names[0])
    if as_json:
        print_json(verdict.to_json())
    else:
        say(verdict.sentence)
        say(f"Compared: {counted(verdict.compared)}.")
        if verdict.differences:
            print_table("Differences", verdict.differences.to_json())
    if not verdict.good:
        raise SystemExit(FAILED)


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a clone: its rows and its Qdrant collection, never S3 files."""
    with opened() as session:
        session.must_write()
        with session.stores.catalog.read() as connection:
            found = catalog.resolve(connection, session.organization_id, name)
        if not (yes or as_json) and sys.stdin.isatty():
            question = f"Delete {found.name} ({found.namespace_id})?"
            if found.clone_id is None:
                question = f"Discard what is left of a replacement of {found.name}?"
            click.confirm(question, abort=True, err=True)
        gone = delete_clone(session.stores, session.organization_id, name)
    if as_json:
        print_json({"namespace_id": found.namespace_id, "generations_deleted": len(gone)})
    elif not gone:
        click.echo(f"What was left of the replacement of {found.name} is gone; it stays itself.")
    else:
        how_many = counted({"generations": len(gone)})
        click.echo(f"{found.name} ({found.namespace_id}) is deleted, {how_many}.")


@click.command()
@click.argument("name")
@click.option("--to", type=int, metavar="GENERATION", help="Another one that is still kept.")
@json_option
def rollback(name: str, to: int | None, as_json: bool) -> None:
    """Bring back the earlier generation of a namespace that was replaced last.

    Policies that refresh it are held until `resume NAME`, or a refresh by hand.
    """
    with opened() as session:
        session.must_write()
        now = bring_back(session.stores, session.organization_id, name, to)
    held = now.held_at is not None
    if as_json:
        result = {"namespace_id": now.namespace_id, "generation": now.generation}
        print_json(result | {"refreshes_held": held})
        return
    click.echo(f"{now.name} is generation {now.generation} again.")
    if held:
        click.echo(f"Policies that refresh it are held until `clone-pipeline resume {now.name}`.")


def _progress() -> Callable[[str, int], None]:
    """Names each part of a bundle when its turn comes."""
    told: set[str] = set()

    def on_progress(stage: str, _count: int) -> None:
        if stage not in told:
            told.add(stage)
            tell(f"{stage} ...")

    return on_progress
