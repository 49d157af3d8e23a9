"""`Idempotency-Key`: a repeated request gets the first answer, and nothing is done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from clone_pipeline.core.catalog.schema import idempotency_keys
from clone_pipeline.core.errors import Conflict, InvalidRequest
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.reservation import SUBMISSION_SECONDS
from clone_pipeline.core.stores import Stores

KEPT = timedelta(hours=24)

Answer = dict[str, Any]
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
    answer: Callable[[], Answer],
) -> Answer:
    """The answer to a request: the first one where the caller has made it before with this key.

    Only good answers are kept: what was refused may be tried again. Raises InvalidRequest where
    the key was used for another request, StillAnswering while the first one is being answered.
    """
    if key is None:
        return answer()
    key_hash = _hash([caller.organization_id, caller.key_id, key])
    first = _first_answer(stores, key_hash, _hash(request))
    if first is not None:
        return first
    try:
        given = answer()
    except BaseException:
        with stores.catalog.write() as connection:
            mine = idempotency_keys.c.key_hash == key_hash
            connection.execute(delete(idempotency_keys).where(mine))
        raise
    with stores.catalog.write() as connection:
        mine = idempotency_keys.c.key_hash == key_hash
        connection.execute(update(idempotency_keys).where(mine).values(answer=given))
    return given


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
    return dict(row["answer"])


def _still_answering() -> StillAnswering:
    return StillAnswering("The first request with this `Idempotency-Key` is being answered.")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
