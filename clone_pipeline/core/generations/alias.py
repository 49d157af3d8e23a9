"""The Qdrant alias of a namespace: it stands for the collection of the live generation, so that
whoever searches through it follows a refresh and a rollback without reading the catalog.

The catalog says where it is to stand, and changes first; `settle` makes Qdrant agree, in one
request. Should that be cut off, a resume or the next sweep does it again.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..catalog.schema import clones, namespaces
from ..errors import Conflict, InvalidRequest
from ..request import CloneRequest
from ..stores import Stores
from ..vectors.port import VectorStore
from ..words import Option


def check_alias(
    connection: Connection,
    vectors: VectorStore,
    request: CloneRequest,
    organization_id: str,
    replaces: Namespace | None,
    *,
    may_take: bool,
) -> None:
    """Whether the clone of that organization can be published behind the alias that is asked for.
    `may_take`: also where that stands for something else.

    Raises InvalidRequest without a server, Conflict where the alias is another's and is not to be
    adopted, or where the namespace has another one.
    """
    if request.alias is None:
        return
    if vectors.embedded:
        raise InvalidRequest(
            Option("alias"), " needs a Qdrant server: nobody else searches the embedded one."
        )
    before = None if replaces is None else replaces.qdrant_alias
    if before not in (None, request.alias) and not may_take:
        raise Conflict(
            f"{request.namespace_name!r} has the alias {before!r}; to give it {request.alias!r} "
            "instead, as an admin, set ",
            Option("adopt", "true"),
            ".",
        )
    own = catalog.generations(connection, organization_id, request.namespace_name)
    _refuse_foreign(connection, vectors, request.alias, own, adopt=may_take)


def settle(stores: Stores, live: Namespace) -> None:
    """Lets the alias of a namespace stand for its live generation; another one that an earlier
    generation had goes. Nothing is asked of Qdrant where it has none.

    Raises Conflict where somebody else has taken it meanwhile, and what the store raises.
    """
    if live.qdrant_alias is None:
        return
    with stores.vectors() as vectors, stores.catalog.read() as connection:
        own = catalog.generations(connection, live.organization_id, live.name)
        try:
            adopt = _may_adopt(connection, live)
            _refuse_foreign(connection, vectors, live.qdrant_alias, own, adopt=adopt)
        except Conflict as error:
            raise Conflict(
                f"{live.name!r} is generation {live.generation} now, and its alias does not "
                "follow: ",
                *error.said,
            ) from None
        collections = _collections(own)
        before = {one.qdrant_alias for one in own if one.qdrant_alias} - {live.qdrant_alias}
        stale = sorted(one for one in before if vectors.resolve(one) in collections)
        vectors.move_alias(live.qdrant_alias, live.qdrant_collection, stale)


def settle_clone(stores: Stores, clone_id: str) -> None:
    """The same for what a clone has made, as long as that is live. Raises what `settle` does."""
    query = select(namespaces).where(namespaces.c.clone_id == clone_id, namespaces.c.role == "live")
    with stores.catalog.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is not None:
        settle(stores, Namespace.of(row))


def with_alias(connection: Connection, organization_id: str | None) -> list[Namespace]:
    """The live namespaces that have one."""
    query = select(namespaces).where(
        namespaces.c.role == "live",
        namespaces.c.clone_status == "ready",
        namespaces.c.qdrant_alias.is_not(None),
    )
    if organization_id is not None:
        query = query.where(namespaces.c.organization_id == organization_id)
    ordered = query.order_by(namespaces.c.namespace_key)
    return [Namespace.of(row) for row in connection.execute(ordered).mappings()]


def _may_adopt(connection: Connection, live: Namespace) -> bool:
    """Whether the clone that is live was asked for with `adopt`, by an admin."""
    query = select(clones.c.request, clones.c.principal).where(clones.c.clone_id == live.clone_id)
    row = connection.execute(query).first()
    return row is not None and row.request["adopt"] and row.principal["role"] == "admin"


def _refuse_foreign(
    connection: Connection,
    vectors: VectorStore,
    alias: str,
    own: list[Namespace],
    *,
    adopt: bool,
) -> None:
    """Raises Conflict where the alias stands for what is not of this namespace."""
    others = select(namespaces.c.namespace_key).where(
        namespaces.c.role == "live",
        namespaces.c.qdrant_alias == alias,
        namespaces.c.namespace_key.not_in([one.key for one in own]),
    )
    if connection.execute(others.limit(1)).first() is not None:
        raise Conflict(f"The Qdrant alias {alias!r} is that of another namespace.")
    stands_for = vectors.resolve(alias)
    if stands_for == alias:
        if vectors.exists(alias):
            raise Conflict(
                f"{alias!r} is the name of a Qdrant collection, so it cannot be an alias."
            )
        return
    if not adopt and stands_for not in _collections(own):
        raise Conflict(
            f"The Qdrant alias {alias!r} stands for something else; to have it all the same, as an "
            "admin, set ",
            Option("adopt", "true"),
            ".",
        )


def _collections(own: list[Namespace]) -> set[str]:
    return {one.qdrant_collection for one in own if one.unreadable is None}
