"""Whether a catalog can be read, and where it is a target, written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clone_pipeline.core.catalog import look, namespaces
from clone_pipeline.core.catalog.engine import HEAD, Catalog
from clone_pipeline.core.errors import NotFound, StorageFailed
from clone_pipeline.core.principal import require_writer
from clone_pipeline.core.stores import Stores
from clone_pipeline.deployment import Where
from clone_pipeline.environments.places import catalog_place
from clone_pipeline.probing.clocks import Clock, compare
from clone_pipeline.probing.findings import Findings, spelled

_SAMPLED = 100
_NAMED = 3


@dataclass
class Looked:
    """`identity` is the database's, None where it could not be asked; `objects` are documents of a
    few objects, for whoever looks at their files."""

    identity: str | None = None
    objects: Sequence[dict[str, Any]] = ()


def check_catalog(where: Where, findings: Findings, clock: Clock) -> Looked:
    looked = Looked()
    key = "`home`" if isinstance(where.catalog, Path) else spelled(where.name, "catalog_url")
    usable = False
    with findings.trying("catalog", f"check {key}"):
        try:
            usable = _look(where, findings, clock, looked)
        except NotFound:
            _say_missing(where, findings)
    if usable and where.access == "write":
        with findings.trying("catalog"), closing(Catalog.open(where.catalog)) as catalog:
            look.try_row(catalog, clock())
            findings.add("catalog", "ok", "A row was written, read back and taken back.")
    return looked


def catalog_identity(where: Where) -> str:
    """The database's. Raises what opening it raises."""
    with closing(Catalog.open_as_it_is(where.catalog)) as catalog:
        return catalog.identity()


def _look(where: Where, findings: Findings, clock: Clock, looked: Looked) -> bool:
    """Whether there is a catalog that this program can use as it is."""
    with closing(Catalog.open_as_it_is(where.catalog)) as catalog:
        version = catalog.schema_version()
        findings.add(
            "catalog",
            "ok",
            f"{look.server(catalog)} answers at {catalog_place(where.catalog)}; its schema is "
            f"version {version}, and this program's {HEAD}.",
        )
        looked.identity = catalog.identity()
        if (theirs := look.now(catalog)) is not None:
            compare(findings, "catalog", "the database", theirs, clock())
        if version != HEAD:
            _say_other_schema(where, findings, catalog, version)
            return False
        with findings.trying("catalog"):
            _check_rights(where, findings, catalog)
        with findings.trying("catalog"):
            _check_reader(where, findings, catalog, clock, looked)
        return True


def _say_missing(where: Where, findings: Findings) -> None:
    """Of a SQLite file that is not there."""
    place = Path(catalog_place(where.catalog))
    if where.access == "read":
        raise StorageFailed(f"There is no catalog at {place}.")
    above = next(one for one in place.parents if one.exists())
    if not os.access(above, os.W_OK):
        raise StorageFailed(f"There is no catalog at {place}, and {above} cannot be written.")
    findings.add("catalog", "ok", f"There is no catalog at {place} yet; one is made at first use.")


def _say_other_schema(
    where: Where, findings: Findings, catalog: Catalog, version: str | None
) -> None:
    """Raises InvalidRequest where nothing makes it this program's."""
    if where.access == "read" or (version is not None and version > HEAD):
        catalog.check_schema(where.name)
    if not look.may_create(catalog):
        raise StorageFailed(
            f"The role may not make tables in {catalog_place(where.catalog)}, which has the schema "
            f"{version} and needs {HEAD}; grant CREATE on its schema."
        )
    findings.add(
        "catalog", "warning", f"The first command that works there brings it to version {HEAD}."
    )


def _check_rights(where: Where, findings: Findings, catalog: Catalog) -> None:
    rights = look.rights(catalog)
    if rights is None:
        return
    if rights.unreadable:
        raise StorageFailed(
            f"The role {rights.role!r} may not read {_several(rights.unreadable)}; run "
            f"`GRANT SELECT ON ALL TABLES IN SCHEMA public TO {rights.role}`."
        )
    if where.access == "read":
        if rights.writable and not rights.replica:
            findings.add(
                "catalog",
                "warning",
                f"The role {rights.role!r} has the right to write {_several(rights.writable)}; one "
                "that has SELECT alone is enough for a source.",
            )
    elif rights.replica:
        raise StorageFailed("The server is a replica, which nobody can write; name the primary.")
    elif rights.unwritable:
        raise StorageFailed(
            f"The role {rights.role!r} may not write {_several(rights.unwritable)}; run `GRANT "
            f"INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {rights.role}`."
        )


def _check_reader(
    where: Where, findings: Findings, catalog: Catalog, clock: Clock, looked: Looked
) -> None:
    """Who looks namespaces up there, and how many there are to be seen."""
    stores = Stores(catalog, where.vectors, environment=where.name, clock=clock)
    who = where.principal(catalog, stores)
    if where.access == "write":
        require_writer(who)
    with catalog.read() as connection:
        count = len(namespaces.list_all(connection, who.organization_id))
    looked.objects = look.some_objects(catalog, who.organization_id, _SAMPLED)
    whose = (
        "Whoever has the folder sees all organizations, without a key"
        if who.organization_id is None
        else f"The key {who.key_id} is of {who.organization_id}, with the role {who.role}"
    )
    said = f"{count:,} {'namespace' if count == 1 else 'namespaces'}"
    findings.add("catalog", "ok", f"{whose}; {said} can be seen.")


def _several(tables: Sequence[str]) -> str:
    rest = len(tables) - _NAMED
    return ", ".join(tables[:_NAMED]) + (f" and {rest} tables more" if rest > 0 else "")
