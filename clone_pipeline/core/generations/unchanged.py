"""A refresh that has found nothing new publishes nothing: what is live stays, proven anew.

The finished clone and the live generation change owners in the ledger: the new clone's row stands
for what is live, with all that is known of it (when it was made, of which marks, by which run), and
the row of the clone before stands for the copy that is not needed, which is removed. Should that
end half-way, the next sweep finds a deletion that stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from ..catalog import namespaces as catalog
from ..catalog.documents import in_collection
from ..catalog.namespace import Namespace
from ..catalog.schema import clone_resources, clones, namespaces
from ..errors import WorkError
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.digests import forget_digests, hand_over_digests
from ..ledger.work import Work
from ..outputs import Proof, Seal
from ..stores import Stores
from .delete import remove

if TYPE_CHECKING:
    from datetime import datetime

# Of a namespace's document: when this generation of it was made.
_TIMES = ("created_at", "updated_at")


def is_same(live: Namespace, made: Namespace) -> bool:
    """Whether two generations have one document, but for what is each one's own: its times, and
    its Qdrant collection."""
    return live.name == made.name and _shared(live) == _shared(made)


def _shared(namespace: Namespace) -> dict[str, Any]:
    document = in_collection(namespace.document, "")
    return {key: value for key, value in document.items() if key not in _TIMES}


def find_live(connection: Connection, work: Work) -> Namespace | None:
    """The live generation that may stay: what the copy began with, which nobody has replaced or
    rolled back, and which has the alias that is asked for. None: there is none."""
    clone, base = work.clone, work.clone.plan["base"]
    live = catalog.find_named(connection, clone.organization_id, clone.namespace_name)
    if base is None or live is None or live.clone_id != base["clone_id"]:
        return None
    if work.request.alias not in (None, live.qdrant_alias) or live.held_at is not None:
        return None
    newer = [
        one
        for one in catalog.generations(connection, clone.organization_id, clone.namespace_name)
        if one.generation > live.generation and one.key != clone.namespace_key and one.is_ready
    ]
    return None if newer else live


def keep(connection: Connection, work: Work, live: Namespace, now: datetime) -> tuple[Clone, Seal]:
    """Lets the clone stand for the live generation. Returns it as it is then, with the seal of what
    is live. The caller holds the rows of the name, and stores the rest of the publication."""
    mine, before = work.clone, ledger.get(connection, str(live.clone_id), lock=True)
    copy = catalog.by_key(connection, mine.namespace_key)
    for clone, stands_for in ((mine, live), (before, copy)):
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == clone.clone_id)
            .values(namespace_key=stands_for.key, qdrant_collection=stands_for.qdrant_collection)
        )
    doomed = {"clone_id": before.clone_id, "role": "previous", "clone_status": "failed"}
    _update(connection, copy, doomed | {"updated_at": now})
    _update(connection, live, {"clone_id": mine.clone_id, "expires_at": copy.expires_at})
    connection.execute(
        update(clone_resources)
        .where(clone_resources.c.clone_id == mine.clone_id, clone_resources.c.kind == "namespace")
        .values(document=live.document)
    )
    if work.leaves_alone:
        hand_over_digests(connection, before.clone_id, mine.clone_id)
    forget_digests(connection, [before.clone_id])
    seal = _prove_live(connection, mine, before, now)
    collection = live.qdrant_collection
    return replace(mine, namespace_key=live.key, qdrant_collection=collection), seal


def _prove_live(connection: Connection, mine: Clone, before: Clone, now: datetime) -> Seal:
    """What was proven of the copy, as it holds for what is live."""
    report = ledger.read_reports(connection, mine.clone_id)[Proof.STEP]
    proof, base = Proof.among({Proof.STEP: report}), mine.plan["base"]
    seal = proof.seal
    if before.seal is not None:
        own = before.seal["records"]["namespace"]  # with the times of when it was made
        seal = {**seal, "records": {**seal["records"], "namespace": own}}
    last_write = None if base is None else base["last_write"]
    output = replace(proof, seal=seal, last_write=last_write)
    ledger.store_report(connection, replace(report, output=output), now)
    return seal


def _update(connection: Connection, namespace: Namespace, values: dict[str, Any]) -> None:
    mine = namespaces.c.namespace_key == namespace.key
    connection.execute(update(namespaces).where(mine).values(values))


def remove_copy(stores: Stores, clone_id: str, namespace_key: int) -> None:
    """Removes the copy that nobody needs, which the row of the clone before stands for. What cannot
    be removed now is left to the next sweep."""
    query = select(namespaces).where(
        namespaces.c.namespace_key == namespace_key,
        namespaces.c.clone_id == clone_id,
        namespaces.c.clone_status == "failed",
    )
    with stores.catalog.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return
    try:
        remove(stores, [Namespace.of(row)], lambda connection: None)
    except WorkError:
        return
