"""A namespace is written as an archive, and read back before it counts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..bundle.archive import Place, dump_archive, open_place, read_back
from ..bundle.archive.manifest import Manifest
from ..catalog.namespace import Namespace
from ..errors import CloneError, InProgress, InvalidRequest
from ..ledger.meter import Meter
from ..plan.resolve import resolve_source
from ..points.retry import Retry
from ..principal import Principal, require_writer
from ..request import LONGEST_NAME
from ..stores import Stores
from . import records
from .contents import read_contents
from .own import own_manifest
from .records import Archive

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be written where. `source` is an id or a name, in its organization or (None) in
    that of whoever asks; `address` is that of this archive alone."""

    source: str
    address: str
    source_organization_id: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if not 1 <= len(self.name) <= LONGEST_NAME:
            raise InvalidRequest(
                f"{self.address}: what follows the last `/` is the archive's name, of 1 to "
                f"{LONGEST_NAME} characters."
            )

    @property
    def name(self) -> str:
        """The last part of the address."""
        return place_of(self.address).rpartition("/")[2]


def archive_namespace(
    stores: Stores,
    wanted: Wanted,
    principal: Principal,
    run_id: str,
    say: Say = lambda _: None,
) -> Archive:
    """Writes an archive, or goes on with one that was cut off, and reads it back whole: only then
    it is `ready` and proven. What keeps it from that is noted with it.

    Raises what is wrong with the request, Conflict where something else lies at the address,
    InProgress where another run writes there, BundleError where what is read back is not what was
    written, and what stores and place raise.
    """
    require_writer(principal)
    started = stores.clock()
    with closing(open_place(wanted.address, stores.files)) as place:
        archive, source = _begin(stores, wanted, principal, run_id, started)
        if archive.status == "ready":
            say(f"{wanted.address} is there already.")
            return archive
        try:
            _write(stores, archive, source, place, say)
            say(f"Reading {place.address} back.")
            manifest = read_back(place, Retry(stores))
            contents = read_contents(place, Retry(stores))
            return _finish(stores, archive, manifest, contents, started)
        except BaseException as error:
            interrupted = "The run was interrupted."
            sentence = error.message if isinstance(error, CloneError) else interrupted
            with suppress(CloneError), stores.catalog.write() as connection:
                records.fail(connection, run_id, sentence, stores.clock())
            raise


def _begin(
    stores: Stores, wanted: Wanted, principal: Principal, run_id: str, now: datetime
) -> tuple[Archive, Namespace]:
    with stores.catalog.read() as connection:
        source = resolve_source(connection, wanted.source, wanted.source_organization_id, principal)
        if source.role == "template":
            raise InvalidRequest(f"{wanted.source!r} is a template, which has no points to keep.")
    try:
        with stores.catalog.write() as connection:
            archive = records.begin(
                connection,
                organization_id=source.organization_id,
                source_namespace_id=source.namespace_id,
                name=wanted.name,
                address=place_of(wanted.address),
                policy=wanted.policy,
                run_id=run_id,
                now=now,
            )
    except IntegrityError:
        raise InProgress(f"Another run has just begun to write {wanted.address}.") from None
    return archive, source


def place_of(address: str) -> str:
    """One spelling of an address."""
    return address.rstrip("/")


def _write(stores: Stores, archive: Archive, source: Namespace, place: Place, say: Say) -> None:
    """Makes the archive, which is not proven yet; the ledger knows it by its manifest then."""
    if own_manifest(place, archive) is not None:
        # Its run was killed after the end of the dump.
        say(f"{place.address} is written already.")
    else:
        _dump(stores, source, place, say)
    written = own_manifest(place, archive)
    with stores.catalog.write() as connection:
        records.change(connection, archive.key, stores.clock(), manifest=written)


def _dump(stores: Stores, source: Namespace, place: Place, say: Say) -> None:
    say(f"Writing {source.name} to {place.address}.")
    with (
        stores.vectors() as own,
        stores.source_vectors(own, source.qdrant_url, source.qdrant_api_key) as vectors,
    ):
        dumped = dump_archive(stores, vectors, source.key, place, Meter(stores.clock))
    if dumped.reused:
        say(f"Of an interrupted dump {dumped.reused:,} points were there already.")


def _finish(
    stores: Stores,
    archive: Archive,
    manifest: Manifest,
    contents: dict[str, Any],
    started: datetime,
) -> Archive:
    now = stores.clock()
    with stores.catalog.write() as connection:
        records.change(
            connection,
            archive.key,
            now,
            status="ready",
            error=None,
            proven=True,
            consistent=manifest.consistent,
            contents=contents,
            points=manifest.counts["points"],
            objects=manifest.counts["objects"],
            bytes=sum(part.bytes for part in manifest.parts),
            seconds=round((now - started).total_seconds(), 3),
            finished_at=now,
        )
        return records.get(connection, archive.key)
