"""The restore test of an archive: from it alone, as if all else were lost.

It is fetched and compared with its checksums, loaded into a scratch namespace with new ids, proven
there against its seal, searched, and the scratch namespace is dropped. Nothing acts in it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ..bundle import LoadReport, Target
from ..bundle.archive import load_archive, open_place
from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..errors import BundleError, NotFound, VerificationFailed
from ..generations.retention import counting
from ..principal import Principal
from ..restore_test import TOLERANCE, RestoreTest, choose_backup, queries
from ..source import read_config
from ..stores import Stores
from . import records, scratch
from .records import Archive

# The score of a point for its own vector, by distance; with Dot another one's may be higher.
_OWN_SCORE = {"Cosine": 1.0, "Euclid": 0.0, "Manhattan": 0.0}


def choose_tested(
    connection: Connection,
    organization_id: str | None,
    identifier: str,
    now: datetime,
    *,
    archives: bool,
) -> Archive | Namespace:
    """What a restore test of that name is of: an archive where there are some and the policy of
    that name may make them, else a backup beside its source. Raises NotFound, and Conflict for a
    namespace that is no backup."""
    archive = choose_archive(connection, organization_id, identifier) if archives else None
    return archive or choose_backup(connection, organization_id, identifier, now)


def choose_archive(
    connection: Connection, organization_id: str | None, identifier: str
) -> Archive | None:
    """The newest archive that counts of the policy of that name, else the archive with that name or
    address; None where there is none. Raises NotFound where none of the policy is proven."""
    found = records.find(connection, organization_id, identifier)[::-1]
    if not found:
        return None
    count = counting([one.as_backup() for one in found])
    if not count:
        raise NotFound(f"No archive of {identifier!r} is proven yet.")
    return next(one for one in found if one.key == count[0].sequence)


def run_archive_test(
    stores: Stores,
    principal: Principal,
    archive: Archive,
    run_id: str,
    say: Callable[[str], None] = lambda _: None,
) -> RestoreTest:
    """Tests the archive, and keeps the result with it in the ledger; a bad one is a result.

    What keeps the test from coming to an end is raised: InProgress where another run tests it.
    """
    started = stores.clock()
    found: dict[str, Any] = {}
    with scratch.claimed(stores, archive, run_id, say) as name:
        try:
            say(f"Loading {archive.address} as {name}.")
            report = _load(stores, principal, archive, name)
            found = {"points": report.counts["points"], "objects": report.counts["objects"]}
            say(f"Searching {name}.")
            found |= _search(stores, archive, name)
        except (BundleError, VerificationFailed) as error:
            good, sentence = False, f"{archive.address}: {error.message}"
        else:
            good = True
            sentence = (
                f"{archive.address} is what was written there, and a namespace was made of it that "
                f"equals it: {found['points']} points and {found['objects']} objects."
            )
    now = stores.clock()
    result = RestoreTest(
        backup=archive.name,
        clone_id=None,
        organization_id=archive.organization_id,
        policy=archive.policy,
        tested_at=now,
        good=good,
        sentence=sentence,
        seconds=round((now - started).total_seconds(), 3),
        **found,
    )
    with stores.catalog.write() as connection:
        values = {"restore_test": result.to_json(), "tested_at": now}
        records.change(connection, archive.key, now, **values)
    return result


def _load(stores: Stores, principal: Principal, archive: Archive, name: str) -> LoadReport:
    target = Target(name, archive.organization_id, new_ids=True)
    with (
        closing(open_place(archive.address, stores.files)) as place,
        stores.vectors() as vectors,
    ):
        return load_archive(stores, vectors, place, principal=principal, target=target)


def _search(stores: Stores, archive: Archive, name: str) -> dict[str, int]:
    """Searches for some of the points by their own vectors. Raises VerificationFailed where nothing
    is found, or mostly what is farther away than the point itself."""
    with stores.catalog.read() as connection:
        made: Namespace = catalog.resolve(connection, archive.organization_id, name)
    searches = missed = 0
    with stores.vectors() as store:
        vectors = read_config(store, made, made.qdrant_collection).get("vectors") or {}
        for vector_name, vector in queries(store, made.qdrant_collection):
            found = store.search(made.qdrant_collection, vector_name, vector, 1, {})
            searches += 1
            if not found:
                raise VerificationFailed(
                    f"A search by the vector {vector_name or 'without a name'} found nothing in "
                    "what was made of it."
                )
            own = _OWN_SCORE.get(vectors.get(vector_name, {}).get("distance", ""))
            # Nothing has a direction that is near to that of zeros.
            missed += own is not None and any(vector) and abs(found[0][1] - own) > TOLERANCE
    if missed * 2 > searches:
        raise VerificationFailed(
            f"Of {searches} searches in what was made of it {missed} did not find the point itself."
        )
    return {"searches": searches, "same_answers": searches - missed}
