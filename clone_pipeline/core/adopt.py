"""A Qdrant collection of somebody else's as a namespace: one row of the catalog, and no write to
Qdrant. What it holds, and how it is configured, is the server's to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from .catalog import namespaces as catalog
from .catalog.documents import in_collection
from .catalog.keys import ensure_organization, only_organization
from .catalog.namespace import FOREIGN_PAYLOADS, Namespace
from .catalog.schema import namespaces, organizations
from .errors import Conflict, InvalidRequest, NameTaken, NotFound
from .ids import derive_free
from .ledger import clones as ledger
from .request import LONGEST_NAME
from .stores import Stores
from .text import fault
from .words import Hint

if TYPE_CHECKING:
    from .vectors.server import ServerStore

# The organization of what is adopted into a catalog that has none.
FIRST_ORGANIZATION = "org_local"


@dataclass(frozen=True)
class Found:
    """A collection that can be adopted. `name` is what it is to be stored by: its own name, or an
    alias, which may come to stand for another collection later."""

    name: str
    collection: str
    points: int


def find_collections(
    stores: Stores, qdrant_url: str | None, pattern: str
) -> tuple[list[Found], list[str]]:
    """The collections of a server (None: the deployment's) that a name, an alias or a glob means,
    and those of a glob that are left out, because they are some namespace's already.

    Raises InvalidRequest without a server, NotFound where there is none such, Conflict where the
    only one is some namespace's already, and what the server raises.
    """
    with _server(stores, qdrant_url) as store:
        names = _names(store, pattern)
        with stores.catalog.read() as connection:
            users = _users(connection, stores, qdrant_url)
        taken = {name: _user(store, users, name) for name in names}
        free = [name for name in names if taken[name] is None]
        if not free:
            raise _in_use(names[0], taken[names[0]])
        found = []
        for name in free:
            collection = store.resolve(name)
            found.append(Found(name, collection, store.count(collection)))
        return found, [name for name in names if name not in free]


def adopt(
    stores: Stores,
    organization_id: str | None,
    found: Found,
    name: str,
    qdrant_url: str | None = None,
) -> Namespace:
    """The namespace that stands for the collection from now on. Without an `organization_id` it is
    the only one's; where there is none, one is made.

    Raises InvalidRequest for a name that cannot be one, NameTaken, Conflict where the collection
    is some namespace's already, and what the server raises.
    """
    _check_name(name)
    now = stores.clock()
    written = now.isoformat().replace("+00:00", "Z")
    document = {"mode": "standalone", "created_at": written, "updated_at": written}
    document = in_collection(document | {FOREIGN_PAYLOADS: True}, found.name)
    elsewhere = None if qdrant_url == stores.vector_address.url else qdrant_url
    with _server(stores, qdrant_url) as store:
        store.read_config(found.collection)  # what cannot be read can be no source
        try:
            with stores.catalog.write() as connection:
                owner = _organization(connection, stores, organization_id)
                _refuse_taken(connection, owner, name)
                users = _users(connection, stores, qdrant_url)
                user = _user(store, users, found.name)
                if user is not None:
                    raise _in_use(found.name, user)
                connection.execute(
                    insert(namespaces).values(
                        organization_id=owner,
                        namespace_id=_namespace_id(connection, owner, name, found.name),
                        namespace_name=name,
                        role="live",
                        generation=1,
                        document=document,
                        qdrant_url=elsewhere,
                        created_at=now,
                        updated_at=now,
                        adopted_at=now,
                    )
                )
                return catalog.resolve(connection, owner, name)
        except IntegrityError:
            raise NameTaken(f"A namespace named {name!r} was made a moment ago.") from None


def release(stores: Stores, organization_id: str | None, identifier: str) -> Namespace:
    """Takes the row away again. The Qdrant collection stays as it is, and so do clones of it.

    Raises NotFound, Conflict for what was not adopted, InProgress while a clone of it is made.
    """
    ledger.note_heartbeats(stores)
    with stores.catalog.write() as connection:
        found = catalog.resolve(connection, organization_id, identifier)
        mine = namespaces.c.namespace_key == found.key
        connection.execute(select(namespaces.c.namespace_key).where(mine).with_for_update())
        if found.adopted_at is None:
            raise Conflict(
                f"{found.name!r} was not adopted; only what was is released",
                Hint(" (`clone-pipeline delete` removes a clone)"),
                ".",
            )
        ledger.refuse_in_use(connection, found, stores.clock())
        connection.execute(delete(namespaces).where(mine))
    return found


@contextmanager
def _server(stores: Stores, qdrant_url: str | None) -> Iterator[ServerStore]:
    with stores.server(qdrant_url) as store:
        if store is None:
            raise InvalidRequest(
                "A collection is adopted from a Qdrant server, and QDRANT_URL names none",
                Hint("; set it, or say `--qdrant-url`"),
                ".",
            )
        yield store


def _names(store: ServerStore, pattern: str) -> list[str]:
    if any(character in pattern for character in "*?["):
        names = [name for name in store.collections() if fnmatchcase(name, pattern)]
        if not names:
            raise NotFound(f"{store.where} has no collection that is called like {pattern!r}.")
        return names
    if not store.exists(store.resolve(pattern)):
        raise NotFound(f"{store.where} has no collection or alias {pattern!r}.")
    return [pattern]


def _users(connection: Connection, stores: Stores, qdrant_url: str | None) -> dict[str, str]:
    """The names of the namespaces on that server, by the Qdrant collection, or alias, of each."""
    own = stores.vector_address.url
    known = map(Namespace.of, connection.execute(select(namespaces)).mappings())
    return {
        one.qdrant_collection: one.name
        for one in known
        if one.unreadable is None and (one.qdrant_url or own) == (qdrant_url or own)
    }


def _user(store: ServerStore, users: Mapping[str, str], name: str) -> str | None:
    """The namespace that has the collection already, under its name or an alias."""
    collection = store.resolve(name)
    called = (name, collection, *store.aliases(collection))
    return next((users[one] for one in called if one in users), None)


def _in_use(name: str, user: str | None) -> Conflict:
    return Conflict(f"The Qdrant collection {name!r} is that of the namespace {user!r} already.")


def _organization(connection: Connection, stores: Stores, organization_id: str | None) -> str:
    """Raises NotFound, InvalidRequest where there are several and none is named."""
    if organization_id is not None:
        if not catalog.has_organization(connection, organization_id):
            raise NotFound(f"There is no organization {organization_id!r}.")
        return organization_id
    if connection.execute(select(organizations).limit(1)).first() is None:
        ensure_organization(connection, FIRST_ORGANIZATION, stores.clock())
        return FIRST_ORGANIZATION
    return only_organization(connection)


def _check_name(name: str) -> None:
    """Raises InvalidRequest."""
    wrong = fault(name)
    if wrong is None and not 1 <= len(name) <= LONGEST_NAME:
        wrong = f"must have 1 to {LONGEST_NAME} characters"
    if wrong is None and (name != name.strip() or not name.isprintable()):
        wrong = "must not begin or end with a space or hold control characters"
    if wrong is not None:
        raise InvalidRequest(
            f"The namespace's name {name!r} {wrong}",
            Hint("; give it another one, as `clone-pipeline adopt COLLECTION NAME`"),
            ".",
        )


def _refuse_taken(connection: Connection, organization_id: str, name: str) -> None:
    """Raises NameTaken."""
    taken = bool(catalog.generations(connection, organization_id, name))
    if taken or catalog.name_taken_by_id(connection, organization_id, name):
        raise NameTaken(
            f"There is a namespace with the id or name {name!r} already",
            Hint("; give this one another, as `clone-pipeline adopt COLLECTION NAME`"),
            ".",
        )


def _namespace_id(connection: Connection, organization_id: str, name: str, collection: str) -> str:
    """Derived: what is released and adopted again has the id that its clones know."""

    def taken(candidate: str) -> bool:
        return catalog.id_taken(connection, organization_id, candidate)

    return derive_free("namespace", organization_id, name, collection, taken)[0]
