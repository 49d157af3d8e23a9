"""The Qdrant collection that a clone's points go into: made empty, or copied inside the server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ..catalog.documents import in_collection
from ..catalog.schema import clone_resources, clone_slices, clones, namespaces
from ..errors import Conflict, NotFound, WorkError
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.lease import Lease
from ..ledger.stored import StoredBase
from ..ledger.work import Work
from ..vectors.port import VectorStore
from .delta import DeltaGivenUp
from .retry import Retry

if TYPE_CHECKING:
    from ..vectors.native import Copied, NativeLane


def ensure_collection(
    work: Work, target: VectorStore, source: VectorStore, retry: Retry
) -> tuple[Work, Copied | None]:
    """Makes the collection unless this clone has; payload indexes stand before the load.

    Returns the work with the collection's name, which may be another one now, and what a native
    copy did, unless an earlier run has made it.
    """
    copied = None
    name = work.clone.qdrant_collection
    if work.clone.qdrant_created and target.exists(name):
        return work, copied
    work.lease.check()
    base = work.clone.plan["base"]
    if work.is_native:
        work.begin_points(f"Copied {work.clone.plan['transport']}")
        out_of = None if work.is_on_same_server else source.native
        work, copied = _copy_inside(work, target, work.source_collection, out_of)
    elif base is not None:
        work, copied = _copy_base(work, target, base)
    else:
        config, loads = work.clone.plan["qdrant_config"], work.request.include_resources.collections
        retry(lambda: target.create(name, config, for_loading=loads))
    with work.lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(qdrant_created=True)
        )
        # Had it been there and vanished, nothing of the slices is true any more.
        connection.execute(
            update(clone_slices)
            .where(clone_slices.c.clone_id == work.clone.clone_id)
            .values(cursor=None, points=0, progress={}, done=False)
        )
    return work, copied


def _copy_base(work: Work, target: VectorStore, base: StoredBase) -> tuple[Work, Copied]:
    """The lane `delta`: Qdrant copies the base, which nobody may have touched.

    Raises DeltaGivenUp where that is so no more.
    """
    try:
        _refuse_touched(target, base)
        work, copied = _copy_inside(work, target, base["qdrant_collection"])
        _refuse_touched(target, base)
    except (NotFound, Conflict) as error:
        raise DeltaGivenUp(f"{base['called']} cannot be copied ({error.message})") from error
    except WorkError as error:
        if target.exists(base["qdrant_collection"]):
            raise
        raise DeltaGivenUp(f"{base['called']} was deleted meanwhile") from error
    return work, copied


def _refuse_touched(target: VectorStore, base: StoredBase) -> None:
    if target.last_write(base["qdrant_collection"]) != base["last_write"]:
        raise DeltaGivenUp(f"{base['called']} was written to or deleted after the plan was made")


def to_stream(work: Work, reason: str) -> Work:
    """The same clone by the stream lane, from the beginning: what was made of its points so far is
    made anew."""
    mine = clones.c.clone_id == work.clone.clone_id
    with work.lease.write() as connection:
        plan = connection.execute(select(clones.c.plan).where(mine)).scalar_one()
        because = f"begun as delta and given up, because {reason}"
        plan = {**plan, "lane": "stream", "lane_reason": because, "base": None}
        values = {"plan": plan, "qdrant_created": False}
        connection.execute(update(clones).where(mine).values(values))
        return replace(work, clone=ledger.get(connection, work.clone.clone_id))


def _copy_inside(
    work: Work, target: VectorStore, source: str, out_of: NativeLane | None = None
) -> tuple[Work, Copied]:
    """Qdrant copies a whole collection, index and all; `out_of` another server, if that is said."""
    if target.native is None:
        raise WorkError("A copy inside Qdrant needs a server, and this is the embedded one.")
    if target.exists(work.clone.qdrant_collection):
        # An attempt that did not end: the server may go on filling whatever has that name.
        target.native.remove(work.clone.qdrant_collection)
        work = replace(work, clone=rename_collection(work.lease, work.clone))
    copied = target.native.copy(
        source,
        work.clone.qdrant_collection,
        work.clone.plan["qdrant_config"],
        sleep=work.stores.sleep,
        check=work.lease.check,
        out_of=out_of,
    )
    return work, copied


def rename_collection(lease: Lease, clone: Clone) -> Clone:
    """Gives an unfinished clone's Qdrant collection, which is not made yet, another name."""
    stem, _, attempt = clone.qdrant_collection.partition(".")
    name = f"{stem}.{int(attempt or 1) + 1}"
    planned, mine = clone_resources.c, namespaces.c.namespace_key == clone.namespace_key
    is_planned = (planned.clone_id == clone.clone_id, planned.kind == "namespace")
    with lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == clone.clone_id)
            .values(qdrant_collection=name, qdrant_created=False)
        )
        for table, where in ((clone_resources, is_planned), (namespaces, (mine,))):
            document = connection.execute(select(table.c.document).where(*where)).scalar_one()
            connection.execute(
                update(table).where(*where).values(document=in_collection(document, name))
            )
        return ledger.get(connection, clone.clone_id)
