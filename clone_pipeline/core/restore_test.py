"""The restore test: a backup counts for what can be made of it.

The backup is compared with the digests that were sealed when it was made, copied into a scratch
namespace with full proof, searched there, and the scratch namespace is dropped. Nothing acts in it:
what a restore would put back is planned only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from .catalog import namespaces as catalog
from .catalog.namespace import Namespace
from .errors import CloneError, Conflict, NotFound, StoreUnavailable, VerificationFailed
from .generations.delete import delete_clone
from .generations.holdings import Holdings
from .generations.retention import counting
from .ledger import clones as ledger
from .ledger.clones import Clone
from .plan import begin, dry_run
from .principal import Principal
from .report import STEPS
from .request import CloneRequest
from .steps import run_step
from .stores import Stores
from .vectors.point import Point
from .vectors.port import VectorStore
from .verify import verify_sealed

# A scratch namespace that a killed test left behind is swept after a day.
_SCRATCH_STAYS = 24 * 3600
_QUERIES = 5
# Scores of one point may differ so much between two indexes: quantized vectors are approximate.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class RestoreTest:
    """What one restore test found. `put_back` and `by_hand` count what a restore would put back
    and what it would leave to a person; `searches` those that were made, in the backup and in the
    scratch namespace alike, and `same_answers` those in which both found the same first."""

    backup: str
    clone_id: str | None  # of an archive there is none
    organization_id: str
    policy: str | None
    tested_at: datetime
    good: bool
    sentence: str
    seconds: float = 0.0
    points: int = 0
    objects: int = 0
    searches: int = 0
    same_answers: int = 0
    put_back: int = 0
    by_hand: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"tested_at": self.tested_at.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RestoreTest:
        return cls(**{**values, "tested_at": datetime.fromisoformat(values["tested_at"])})


def choose_backup(
    connection: Connection, organization_id: str | None, identifier: str, now: datetime
) -> Namespace:
    """The newest backup that counts of the policy of that name, else the backup with that name or
    id.

    Raises NotFound, Conflict for a namespace that is no backup.
    """
    holdings = Holdings.read(connection, organization_id, now)
    newest_first = holdings.newest_backups(identifier)[::-1]
    if count := counting(holdings.as_backups(newest_first)):
        return catalog.by_key(connection, count[0].sequence)
    if newest_first:
        raise NotFound(f"No backup of the policy {identifier!r} is proven yet.")
    if catalog.find(connection, organization_id, identifier) is None:
        raise NotFound(f"There is no backup {identifier!r}, and none of a policy of that name yet.")
    namespace = catalog.resolve(connection, organization_id, identifier)
    if namespace.clone_id is None:
        raise Conflict(f"{namespace.name!r} was not made by clone-pipeline, so it is no backup.")
    if not ledger.get(connection, namespace.clone_id).request["preserve_resource_ids"]:
        raise Conflict(
            f"{namespace.name!r} is no backup: it was made without preserve_resource_ids."
        )
    return namespace


def run_restore_test(
    stores: Stores,
    principal: Principal,
    identifier: str,
    run_id: str,
    say: Callable[[str], None] = lambda _: None,
) -> RestoreTest:
    """Tests the backup, and keeps the result with it in the ledger; a bad one is a result.

    `identifier` is as for `choose_backup`, whose errors are raised; so is what keeps the test from
    coming to an end, such as a store that cannot be reached.
    """
    started = stores.clock()
    with stores.catalog.read() as connection:
        backup = choose_backup(connection, principal.organization_id, identifier, started)
        clone = ledger.get(connection, str(backup.clone_id))
    say(f"Testing {backup.name}, of {clone.created_at:%Y-%m-%d %H:%M} UTC.")
    found: dict[str, Any] = {}
    try:
        _compare_with_seal(stores, backup)
        found |= _plan_restore(stores, principal, backup, clone)
        found |= _copy_and_search(stores, principal, backup, clone, run_id, say)
    except VerificationFailed as error:
        good, sentence = False, error.message
    else:
        good = True
        sentence = (
            f"{backup.name} is what was proven when it was made, and a namespace was made of it "
            f"that equals it: {found['points']} points and {found['objects']} objects."
        )
    now = stores.clock()
    result = RestoreTest(
        backup=backup.name,
        clone_id=clone.clone_id,
        organization_id=backup.organization_id,
        policy=clone.backup_policy,
        tested_at=now,
        good=good,
        sentence=sentence,
        seconds=round((now - started).total_seconds(), 3),
        **found,
    )
    with stores.catalog.write() as connection:
        ledger.keep_restore_test(connection, clone.clone_id, result.to_json())
    return result


def _compare_with_seal(stores: Stores, backup: Namespace) -> None:
    verdict = verify_sealed(stores, backup.organization_id, backup.namespace_id)
    if not verdict.good:
        raise VerificationFailed(verdict.sentence)


def _request(
    stores: Stores, backup: Namespace, clone: Clone, name: str, **options: Any
) -> CloneRequest:
    """For a copy of the backup beside it, made at the pace at which the backup was made."""
    pace = ("max_points_per_second", "concurrent_slices")
    return CloneRequest.model_validate(
        {
            "namespace_identifier": backup.namespace_id,
            "namespace_name": name,
            "include_resources": clone.request["include_resources"],
            "source_organization_id": backup.organization_id,
            "organization_id": backup.organization_id,
            "preserve_resource_ids": True,
            "source_environment": stores.environment,
            "target_environment": stores.environment,
            **{name: clone.request.get(name) for name in pace},
        }
        | options
    )


def _plan_restore(
    stores: Stores, principal: Principal, backup: Namespace, clone: Clone
) -> dict[str, Any]:
    home = clone.plan["source"]["organization_id"]  # where it would be restored
    name = scratch_name(clone.clone_id)
    request = _request(stores, backup, clone, name, restore=True, organization_id=home)
    plan = dry_run.plan(stores, request, principal)
    return {"put_back": len(plan.reinstated.put_back), "by_hand": len(plan.reinstated.by_hand)}


def _copy_and_search(
    stores: Stores,
    principal: Principal,
    backup: Namespace,
    clone: Clone,
    run_id: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    request = _request(stores, backup, clone, scratch_name(run_id), ttl_seconds=_SCRATCH_STAYS)
    scratch = begin.begin(stores, request, principal, run_id)
    try:
        for step in STEPS[1:]:
            say(f"{step} of {scratch.namespace_name}")
            run_step(stores, scratch.clone_id, run_id, step, process_goes_on=True)
        with stores.catalog.read() as connection:
            made = catalog.by_key(connection, scratch.namespace_key)
            response = ledger.get(connection, scratch.clone_id).response or {}
        counts = response["cloned_resources"]
        found = {name: counts[name] for name in ("points", "objects")} | _search(
            stores, backup, made
        )
    except StoreUnavailable as error:
        # The next attempt goes on with it.
        ledger.fail(stores, scratch.clone_id, run_id, error.message)
        raise
    except BaseException as error:
        ledger.fail(stores, scratch.clone_id, run_id, str(error))
        _drop(stores, scratch, say)
        raise
    _drop(stores, scratch, say)
    return found


def _drop(stores: Stores, scratch: Clone, say: Callable[[str], None]) -> None:
    """What cannot be dropped now is swept later."""
    say(f"Dropping {scratch.namespace_name}")
    try:
        delete_clone(stores, scratch.organization_id, scratch.namespace_name)
    except CloneError as error:
        say(f"{scratch.namespace_name} cannot be dropped now, and is left to the sweep: {error}")


def _search(stores: Stores, backup: Namespace, made: Namespace) -> dict[str, int]:
    """Searches both for vectors of some points. Raises VerificationFailed where the scratch
    namespace finds nothing, or mostly something else than the backup."""
    searches = same = 0
    with (
        stores.vectors() as there,
        stores.source_vectors(there, backup.qdrant_url, backup.qdrant_api_key) as store,
    ):
        for name, vector in queries(store, backup.qdrant_collection):
            before = store.search(backup.qdrant_collection, name, vector, 1, {})
            after = there.search(made.qdrant_collection, name, vector, 1, {})
            searches += 1
            if not after:
                raise VerificationFailed(
                    f"A search by the vector {name or 'without a name'} found nothing in what was "
                    f"made of {backup.name}."
                )
            same += _same_answer(before, after)
    if same * 2 < searches:
        raise VerificationFailed(
            f"Of {searches} searches in what was made of {backup.name} only {same} found what the "
            "backup finds."
        )
    return {"searches": searches, "same_answers": same}


def queries(store: VectorStore, collection: str) -> Iterator[tuple[str, list[float]]]:
    """Dense vectors of the first points, each with its name."""
    for point in store.scroll(collection, _QUERIES).points:
        for name, vector in point.vectors.items():
            if isinstance(vector, list) and vector and not isinstance(vector[0], list):
                yield name, [float(value) for value in vector]


def _same_answer(before: list[tuple[Point, float]], after: list[tuple[Point, float]]) -> bool:
    """The same point, or one that is as near."""
    if not before:
        return True
    (one, score), (other, its_score) = before[0], after[0]
    return one.id == other.id or abs(score - its_score) <= TOLERANCE * max(1.0, abs(score))


def scratch_name(run_id: str) -> str:
    return f"restore_test_{run_id[:8]}"
