"""The ledger: what a clone is to do, how far it is, and who holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, case, delete, or_, select, update

from ..catalog.model import points_copied as points_copied
from ..catalog.namespace import Namespace, iso
from ..catalog.schema import clone_runs, clone_steps, clones, namespaces
from ..errors import Conflict, InProgress, NotFound
from ..outputs import Seal
from ..process import Holder, silence
from ..report import StepReport
from ..stores import Stores
from ..text import keepable
from .lease_timing import LEASE_SECONDS, RESERVED_SECONDS
from .stored import StoredPlan, read_plan, read_seal

# How a clone's error begins whose run was cancelled, whoever records it.
CANCELLED = "The run was cancelled"

UNFINISHED = ("cloning", "failed")

# What policies have clones for.
BACKUP, REFRESH = "backup", "refresh"

# So long the ledger keeps what there was to know of a clone that is gone.
DISCARDED_STAY = timedelta(days=90)


@dataclass(frozen=True)
class Clone:
    """One row of `clones`: a clone as the ledger knows it."""

    clone_id: str
    organization_id: str
    namespace_name: str
    namespace_key: int
    source_namespace_key: int
    source_environment: str | None
    source_namespace_id: str
    request: dict[str, Any]
    principal: dict[str, Any]
    policy: str | None
    purpose: str | None
    plan: StoredPlan
    qdrant_collection: str
    qdrant_created: bool
    phase: str
    status: str
    error: str | None
    run_id: str | None
    request_identity: str
    token: int
    holder_host: str | None
    holder_pid: int | None
    holder_started: float | None
    heartbeat_at: datetime | None
    seen_heartbeat_at: datetime | None
    seen_at: datetime | None
    reserved_at: datetime | None
    parked: list[dict[str, Any]]
    seal: Seal | None
    restore_test: dict[str, Any] | None
    tested_at: datetime | None
    response: dict[str, Any] | None
    points: int | None
    objects: int | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    points_proven: int | None
    files: dict[str, int] | None
    files_of: str | None
    offered: str | None
    paced_until: datetime | None

    @classmethod
    def of(cls, row: RowMapping) -> Clone:
        stored = {"plan": read_plan(row["plan"]), "seal": read_seal(row["seal"])}
        return cls(**{**row, **stored})

    def is_held(self, now: datetime, ended: frozenset[str] = frozenset()) -> bool:
        """Whether a run is at work on it: its process lives, or was heard of a moment ago; or it
        waits for a run that was asked for. `ended` are runs that are known to be over."""
        if self.run_id in ended:
            return False
        if self.reserved_at is not None and self.heartbeat_at is not None:
            return self.silence(now) < timedelta(seconds=RESERVED_SECONDS)
        if self.holder_host is None or self.heartbeat_at is None:
            return False
        alive = self.holder_lives()
        if alive is not None:
            return alive
        return self.silence(now) < timedelta(seconds=LEASE_SECONDS)

    def silence(self, now: datetime) -> timedelta:
        """For how long nothing was heard of its holder, or of the run that it waits for."""
        heartbeat_at = self.heartbeat_at or self.updated_at
        return silence(heartbeat_at, self.seen_heartbeat_at, self.seen_at, now)

    @property
    def source_in(self) -> tuple[str | None, str | None]:
        """The source's environment, where it is another one, and the identity of its catalog."""
        return self.source_environment, self.plan["source"]["catalog"]

    @property
    def backup_policy(self) -> str | None:
        """The policy that it is a backup for."""
        return self.policy if self.purpose == BACKUP else None

    @property
    def was_begun(self) -> bool:
        """Whether a run has ever had it: else there is nothing of it but its rows."""
        return self.token > 0

    def holder_lives(self) -> bool | None:
        """None where its process cannot be seen from here, or there is none."""
        if self.holder_host is None or self.holder_pid is None:
            return None
        dead = Holder(self.holder_host, self.holder_pid, self.holder_started or 0.0).is_dead()
        return None if dead is None else not dead


def get(connection: Connection, clone_id: str, *, lock: bool = False) -> Clone:
    """`lock` waits for whoever writes it, and keeps others from it: to decide by what it says.

    Raises NotFound.
    """
    query = select(clones).where(clones.c.clone_id == clone_id)
    query = query.with_for_update() if lock else query
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"The ledger has no clone {clone_id!r}.")
    return Clone.of(row)


def get_unless_written(connection: Connection, clone_id: str) -> Clone | None:
    """As `get` with `lock`, but None where somebody writes it just now, or where there is none."""
    query = select(clones).where(clones.c.clone_id == clone_id)
    row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
    return None if row is None else Clone.of(row)


def of_run(connection: Connection, run_id: str) -> Clone:
    """The clone that a run is making or has made. Raises NotFound."""
    row = connection.execute(select(clones).where(clones.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"The run {run_id} has made no clone.")
    return Clone.of(row)


def of_any_run(connection: Connection, run_id: str) -> Clone:
    """The clone that a run is making, has made, or has had before another one went on with it.

    Raises NotFound.
    """
    query = select(clones).join(clone_runs, clone_runs.c.clone_id == clones.c.clone_id)
    row = connection.execute(query.where(clone_runs.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"The run {run_id} has made no clone.")
    return Clone.of(row)


def note_run(connection: Connection, clone_id: str, run_id: str, now: datetime) -> None:
    """Records that a run has had the clone."""
    known = select(clone_runs.c.run_id).where(clone_runs.c.run_id == run_id)
    if connection.execute(known).first() is None:
        connection.execute(
            clone_runs.insert().values(run_id=run_id, clone_id=clone_id, created_at=now)
        )


def purpose_for(policy: str | None, request: Mapping[str, Any]) -> str | None:
    """What a policy that asks for a clone has it for. A refresh replaces its target; a backup has a
    name of its own, and the ids of its source, without which nothing can be restored from it."""
    if policy is None:
        return None
    if request["if_exists"] == "replace":
        return REFRESH
    return BACKUP if request["preserve_resource_ids"] else None


def keep_restore_test(connection: Connection, clone_id: str, result: dict[str, Any]) -> None:
    """What a restore test of that backup found; no change of the clone itself."""
    mine = clones.c.clone_id == clone_id
    values = {"restore_test": result, "tested_at": datetime.fromisoformat(result["tested_at"])}
    connection.execute(update(clones).where(mine).values(values))


def proof(connection: Connection, clone_id: str | None) -> dict[str, Any]:
    """When a clone was planned, whether with the source's ids, the policy that it was made for, how
    it was proven before it was published, and the last restore test of it."""
    columns = ("created_at", "policy", "request", "status", "restore_test", "source_environment")
    query = select(*(clones.c[name] for name in columns)).where(clones.c.clone_id == clone_id)
    row = connection.execute(query).first()
    return {
        "cloned_at": row and iso(row.created_at),
        "ids_kept": bool(row and row.request["preserve_resource_ids"]),
        "source_environment": row and row.source_environment,
        "policy": row and row.policy,
        "proven": row.request["verify"] if row and row.status == "ready" else None,
        "restore_test": row and row.restore_test,
    }


def unfinished(connection: Connection, organization_id: str, name: str) -> Clone | None:
    """The clone of that name that is neither published nor discarded; there is at most one."""
    query = select(clones).where(
        clones.c.organization_id == organization_id,
        clones.c.namespace_name == name,
        clones.c.status.in_(UNFINISHED),
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Clone.of(row)


def read_reports(connection: Connection, clone_id: str) -> dict[str, StepReport]:
    """The reports of the steps that are done, by step."""
    query = select(clone_steps).where(clone_steps.c.clone_id == clone_id)
    rows = connection.execute(query).mappings()
    return {row["step"]: StepReport.from_json(row["report"]) for row in rows}


def forget_reports(connection: Connection, clone_id: str, steps: tuple[str, ...]) -> None:
    """These steps count as not done any more."""
    mine = (clone_steps.c.clone_id == clone_id, clone_steps.c.step.in_(steps))
    connection.execute(delete(clone_steps).where(*mine))


def store_report(connection: Connection, report: StepReport, now: datetime) -> None:
    key = {"clone_id": report.clone_id, "step": report.step}
    values = {"report": report.to_json(), "updated_at": now}
    changed = connection.execute(
        update(clone_steps)
        .where(*(clone_steps.c[name] == value for name, value in key.items()))
        .values(values)
    )
    if changed.rowcount == 0:
        connection.execute(clone_steps.insert().values(key | values))


def holder_values(holder: Holder, now: datetime) -> dict[str, Any]:
    return {
        "holder_host": holder.host,
        "holder_pid": holder.pid,
        "holder_started": holder.started,
        "heartbeat_at": now,
    }


NO_HOLDER: dict[str, Any] = {
    "holder_host": None,
    "holder_pid": None,
    "holder_started": None,
    "reserved_at": None,
}


def note_heartbeats(stores: Stores) -> None:
    """Notes which heartbeats are ahead of this process's clock, as after one was set back, and when
    it has first seen them: a later look tells by that who lives.

    To be called before anybody is refused because a clone is held.
    """
    now = stores.clock()
    unknown = and_(
        clones.c.status.in_(UNFINISHED),
        or_(clones.c.holder_host.is_not(None), clones.c.reserved_at.is_not(None)),
        clones.c.heartbeat_at > now,
        or_(
            clones.c.seen_heartbeat_at.is_distinct_from(clones.c.heartbeat_at),
            clones.c.seen_at > now,
        ),
    )
    query = select(clones.c.clone_id).where(unknown)
    with stores.catalog.read() as connection:
        if connection.execute(query).first() is None:
            return
    with stores.catalog.write() as connection:
        # One that is being written gives a sign of life, and is not waited for.
        free = connection.execute(query.with_for_update(skip_locked=True)).scalars().all()
        connection.execute(
            update(clones)
            .where(clones.c.clone_id.in_(free), unknown)
            .values(seen_heartbeat_at=clones.c.heartbeat_at, seen_at=now)
        )


def claim(stores: Stores, clone_id: str, run_id: str) -> None:
    """Records the run that was asked for: it, and no other, may begin the reserved clone.

    Raises NotFound, and Conflict where the reservation was withdrawn meanwhile.
    """
    with stores.catalog.write() as connection:
        clone = get(connection, clone_id, lock=True)
        refuse_withdrawn(clone)
        if clone.reserved_at is not None and clone.run_id is None:
            bind(connection, clone, run_id, stores.clock())


def refuse_withdrawn(clone: Clone) -> None:
    """Raises Conflict."""
    if clone.status == "discarded" and not clone.was_begun:
        raise Conflict(
            f"The request for {clone.namespace_name!r} was withdrawn before its run began; make "
            "it again."
        )


def bind(connection: Connection, clone: Clone, run_id: str, now: datetime) -> None:
    """Says which run a reserved clone waits for."""
    mine = clones.c.clone_id == clone.clone_id
    connection.execute(update(clones).where(mine).values(run_id=run_id))
    note_run(connection, clone.clone_id, run_id, now)


def fail(stores: Stores, clone_id: str, run_id: str, error: str) -> None:
    """The word of a run itself, which ends without publishing; the clone can be resumed or
    discarded."""
    with stores.catalog.write() as connection:
        clone = get(connection, clone_id)
        _record_failure(connection, clone, run_id, error, stores.clock(), {})


def end_run(stores: Stores, clone_id: str, run_id: str, error: str) -> None:
    """The word of somebody else about a run that is over. Whatever of it is still at work, on
    whichever machine, loses its lease."""
    with stores.catalog.write() as connection:
        end_run_of(connection, get(connection, clone_id), run_id, error, stores.clock())


def end_run_of(
    connection: Connection, clone: Clone, run_id: str, error: str, now: datetime
) -> None:
    """The same in the caller's transaction."""
    begun = case((clones.c.token > 0, clones.c.token + 1), else_=0)
    _record_failure(connection, clone, run_id, error, now, {"token": begun, "offered": None})


def _record_failure(
    connection: Connection,
    clone: Clone,
    run_id: str,
    error: str,
    now: datetime,
    more: Mapping[str, Any],
) -> None:
    failed = connection.execute(
        update(clones)
        .where(clones.c.clone_id == clone.clone_id, clones.c.run_id == run_id)
        .where(clones.c.status.in_(UNFINISHED))
        .values(
            {"status": "failed", "error": keepable(error), "updated_at": now}
            | {"finished_at": now, **NO_HOLDER, **more}
        )
    )
    if failed.rowcount:
        mark_namespace(connection, clone, "failed", now)


def forget_discarded(stores: Stores, organization_id: str | None) -> int:
    """Removes the rows of clones that are gone for long, of one organization or of all. How many.

    What is left of them until then answers questions about their runs and requests."""
    gone = [clones.c.status == "discarded", clones.c.updated_at < stores.clock() - DISCARDED_STAY]
    if organization_id is not None:
        gone.append(clones.c.organization_id == organization_id)
    with stores.catalog.write() as connection:
        # With their steps, runs, slices and resources, by the foreign keys.
        return connection.execute(delete(clones).where(*gone)).rowcount


def mark_namespace(connection: Connection, clone: Clone, status: str, now: datetime) -> None:
    connection.execute(
        update(namespaces)
        .where(namespaces.c.namespace_key == clone.namespace_key)
        .where(namespaces.c.clone_id == clone.clone_id)
        .values(clone_status=status, updated_at=now)
    )


def refuse_in_use(connection: Connection, namespace: Namespace, now: datetime) -> None:
    """Raises InProgress while a run reads or writes this generation."""
    held = list_unfinished_held(connection, namespace.key, now, namespace.clone_id)
    if held:
        raise InProgress(
            f"{namespace.name!r} is in use by the run {held[0].run_id}, which makes "
            f"{held[0].namespace_name!r}; wait for it, or cancel it first."
        )


def list_unfinished_held(
    connection: Connection, namespace_key: int, now: datetime, clone_id: str | None = None
) -> list[Clone]:
    """The clones at work that read or write this generation of a namespace, which `clone_id` has
    made."""
    query = select(clones).where(
        clones.c.status.in_(UNFINISHED),
        or_(
            and_(
                clones.c.source_namespace_key == namespace_key,
                clones.c.source_environment.is_(None),
            ),
            clones.c.namespace_key == namespace_key,
            clones.c.plan["base"]["clone_id"].as_string() == (clone_id or ""),
        ),
    )
    found = [Clone.of(row) for row in connection.execute(query).mappings()]
    return [clone for clone in found if clone.is_held(now)]
