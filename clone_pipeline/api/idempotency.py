"""`Idempotency-Key`: a repeated request gets the first answer, and nothing is done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from clone_pipeline.core.catalog.schema import idempotency_keys
from clone_pipeline.core.errors import Conflict, InvalidRequest
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.lease_timing import SUBMISSION_SECONDS
from clone_pipeline.core.ledger.response import response_of
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.stores import Stores

KEPT = timedelta(hours=24)

Answer = dict[str, Any]
# Called with the id of the clone that is reserved, before the run is asked for.
Note = Callable[[str], None]
# Stands for an answer that is still to come.
_RESERVED = "reserved_clone_id"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="A request that is repeated with the same key within a day gets the first "
        "answer, and nothing is done again.",
    ),
]


class StillAnswering(Conflict):
    code = "request_in_progress"


def once(
    stores: Stores,
    caller: Principal,
    key: str | None,
    request: Any,
    answer: Callable[[Note], Answer],
) -> Answer:
    """The answer to a request: the first one where the caller has made it before with this key.

    Only good answers are kept: what was refused may be tried again. Raises InvalidRequest where
    the key was used for another request, StillAnswering while the first one is being answered.
    """
    if key is None:
        return answer(lambda _: None)
    key_hash = _hash([caller.organization_id, caller.key_id, key])
    first = _first_answer(stores, key_hash, _hash(request))
    if first is not None:
        return first

    def note(clone_id: str) -> None:
        _keep(stores, key_hash, {_RESERVED: clone_id})

    try:
        given = answer(note)
    except BaseException:
        with stores.catalog.write() as connection:
            mine = idempotency_keys.c.key_hash == key_hash
            connection.execute(delete(idempotency_keys).where(mine))
        raise
    _keep(stores, key_hash, given)
    return given


def _keep(stores: Stores, key_hash: str, answer: Answer) -> None:
    with stores.catalog.write() as connection:
        mine = idempotency_keys.c.key_hash == key_hash
        connection.execute(update(idempotency_keys).where(mine).values(answer=answer))


def _first_answer(stores: Stores, key_hash: str, request_hash: str) -> Answer | None:
    """None where this is the first request, which then is on record."""
    now = stores.clock()
    table = idempotency_keys
    # One without an answer after so long: whoever was giving it has died.
    lost = (table.c.answer.is_(None)) & (
        table.c.created_at < now - timedelta(seconds=SUBMISSION_SECONDS)
    )
    try:
        with stores.catalog.write() as connection:
            connection.execute(delete(table).where((table.c.created_at < now - KEPT) | lost))
            query = select(table).where(table.c.key_hash == key_hash)
            row = connection.execute(query).mappings().first()
            if row is not None and _was_withdrawn(connection, row["answer"]):
                connection.execute(delete(table).where(table.c.key_hash == key_hash))
                row = None
            if row is None:
                connection.execute(
                    insert(table).values(
                        key_hash=key_hash, request_hash=request_hash, created_at=now
                    )
                )
                return None
    except IntegrityError:
        raise _still_answering() from None
    if row["request_hash"] != request_hash:
        raise InvalidRequest("The `Idempotency-Key` was used for another request before.")
    if row["answer"] is None:
        raise _still_answering()
    if _RESERVED not in row["answer"]:
        return dict(row["answer"])
    # Whoever was answering is at it still, or has died: the clone is the same.
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, row["answer"][_RESERVED])
        if clone.run_id is None:
            raise _still_answering()
        given = response_of(connection, clone, "cloning")
    _keep(stores, key_hash, given)
    return given


def _was_withdrawn(connection: Connection, answer: Answer | None) -> bool:
    if answer is None or _RESERVED not in answer:
        return False
    clone = ledger.get(connection, answer[_RESERVED])
    return clone.status == "discarded" and not clone.was_begun


def _still_answering() -> StillAnswering:
    return StillAnswering("The first request with this `Idempotency-Key` is being answered.")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
