"""A namespace from and to a bundle folder or an archive: load, dump."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clone_pipeline.cli.common import Session, json_option, opened, print_json, tell
from clone_pipeline.cli.naming import NAMESPACE
from clone_pipeline.cli.output import counted, print_warnings, say, what_there_is
from clone_pipeline.cli.progress import PointsBar
from clone_pipeline.core import bundle
from clone_pipeline.core.bundle import archive
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import Forbidden


@click.command()
@click.argument("source", metavar="DIR|ADDRESS")
@click.option("--as", "namespace_name", metavar="NAME", help="Under another name.")
@click.option(
    "--organization", "organization_id", metavar="ID", help="Into another organization, as a clone."
)
@click.option(
    "--new-ids", is_flag=True, help="With ids of its own, as a clone; without it ids are kept."
)
@json_option
def load(
    source: str,
    namespace_name: str | None,
    organization_id: str | None,
    new_ids: bool,
    as_json: bool,
) -> None:
    """Load a namespace from a bundle folder, or an archive at s3://bucket/prefix or file:///folder:
    all of it, or nothing.

    A backup that is loaded with --as, its ids kept, is restored: what it had cleared is put back.
    """
    with opened() as session:
        session.must_write()
        target = bundle.Target(namespace_name, organization_id, new_ids)
        stores, who = session.stores, session.principal
        with (
            _place(session, source) as place,
            stores.vectors() as vectors,
            PointsBar(stores.clock, shown=not as_json) as bar,
        ):
            if place is None:
                folder, now = Path(source), stores.clock()
                report = bundle.load(
                    *(folder, stores.catalog, vectors, now, bar.tell, who, bar.meter), target=target
                )
            else:
                report = archive.load_archive(
                    stores, vectors, place, bar.tell, who, bar.meter, target
                )
    result = {
        "namespace_id": report.namespace_id,
        "namespace_name": report.namespace_name,
        "organization_id": report.organization_id,
        **report.counts,
        "warnings": report.warnings,
        "references": report.references,
        "by_hand": report.by_hand,
    }
    if as_json:
        print_json(result)
    else:
        where = f"{report.namespace_name} ({report.namespace_id}, {report.organization_id})"
        say(f"Loaded {where}: {what_there_is(report.counts)}.")
        print_warnings(report.warnings)


@click.command()
@click.argument("namespace", type=NAMESPACE)
@click.argument("target", metavar="DIR|ADDRESS")
@json_option
def dump(namespace: str, target: str, as_json: bool) -> None:
    """Write a namespace, by id or name, to a bundle folder, or as an archive to s3://bucket/prefix
    or file:///folder.

    The same command again goes on with an archive that was interrupted.
    """
    dumped = None
    with opened(to_look=True) as session:
        if not session.principal.may_write():
            raise Forbidden("A dump holds the namespace's secrets too; a read-only key gets none.")
        stores = session.stores
        with stores.catalog.read() as connection:
            found = catalog.resolve(connection, session.organization_id, namespace)
            secrets = catalog.count_secrets(connection, found)
        with (
            _place(session, target) as place,
            stores.vectors() as own,
            stores.source_vectors(own, found.qdrant_url, found.qdrant_api_key) as vectors,
            PointsBar(stores.clock, shown=place is not None and not as_json) as bar,
        ):
            if place is None:
                counts = bundle.dump(stores.catalog, vectors, found.key, Path(target))
            else:
                dumped = archive.dump_archive(
                    stores, vectors, found.key, place, bar.meter, bar.tell
                )
                counts = dumped.counts
    if secrets:
        what = "bundle" if dumped is None else "archive"
        tell(
            f"The {what} holds {counted({'secrets': secrets})} in plain text: keep it where only "
            "those can read it who may know them."
        )
    result = {"namespace_id": found.namespace_id, "namespace_name": found.name, **counts}
    if dumped is not None:
        result |= {"points_reused": dumped.reused, "consistent": dumped.consistent}
    if as_json:
        print_json(result)
        return
    say(f"Written to {target}: {what_there_is(counts)}.")
    if dumped is not None:
        _say_how(dumped.reused, dumped.consistent)


@contextmanager
def _place(session: Session, address: str) -> Iterator[archive.Place | None]:
    """Where an archive lies; None for the path of a bundle folder."""
    if not archive.is_address(address):
        yield None
        return
    place = archive.open_place(address, session.stores.files)
    try:
        yield place
    finally:
        place.close()


def _say_how(reused: int, consistent: bool | None) -> None:
    """What a person has to know of an archive beside its counts."""
    if reused:
        say(f"Of an interrupted dump {counted({'points': reused})} were there already.")
    if consistent is False:
        say("Points were written to meanwhile: the archive has each as it was when it was read.")
