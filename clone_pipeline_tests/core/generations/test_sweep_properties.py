"""Random catalogs: a sweep does what its dry run says, and takes nothing that must stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select

from clone_pipeline.core.catalog.schema import clones, namespaces
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule, Policies, plan_sweep, run_sweep
from clone_pipeline.core.process import Holder
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness

from ..catalog.rows import NOW, REQUEST, add_clone, add_namespace, add_organization

# What a generation may be, and since when. The oracle below goes by these words alone.
_LIVE = ("hand-made", "plain", "backup", "unproven", "stranger", "half deleted", "unfinished")
_HOURS = st.integers(0, 400)


@dataclass(frozen=True)
class Family:
    """A name: its live generation, those it has replaced, and an unfinished replacement."""

    live: str
    age: int
    expires_in: int | None
    # Each: made here?, replaced how many hours ago by its clock, and when among them in truth.
    previous: list[tuple[bool, int, float]]
    replacement: int | None
    is_read: bool


_FAMILIES = st.lists(
    st.builds(
        Family,
        st.sampled_from(_LIVE),
        _HOURS,
        st.none() | st.integers(-5, 5),
        st.lists(
            st.tuples(
                st.sampled_from([True, True, False]), st.integers(-3, 5), st.floats(0, 1, width=16)
            ),
            max_size=3,
        ),
        st.none() | _HOURS,
        st.sampled_from([False, False, True]),
    ),
    max_size=8,
)
_KEEPS = st.builds(Keep, *[st.integers(0, 2)] * 5)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder: Path = tmp_path_factory.mktemp("sweep")
    with harness.open_stores(folder, clock=lambda: NOW) as stores:
        with stores.catalog.write() as connection:
            add_organization(connection)
        yield stores


class World:
    """The rows of some families, and the keys of those that must survive."""

    def __init__(self, connection: Connection, families: list[Family]) -> None:
        for table in (clones, namespaces):
            connection.execute(delete(table))
        self.connection = connection
        self.must_stay: set[int] = set()
        self.proven: list[int] = []
        source = {"namespace_id": "ns_source", "namespace_name": "source"}
        self.must_stay.add(add_namespace(connection, **source))
        for number, family in enumerate(families):
            self._add(f"n{number}", family)
        self.must_stay |= set(self.proven[-1:])

    def _add(self, name: str, family: Family) -> None:
        generations = list(enumerate(family.previous, 1))
        in_truth = sorted(generations, key=lambda one: (one[1][2], one[0]))
        turns = {number: turn for turn, (number, _) in enumerate(in_truth, 1)}
        keys = [
            self._previous(name, number, turns[number], mine, hours)
            for number, (mine, hours, _) in generations
        ]
        live = self._live(name, family)
        ours = [one for one, (mine, *_) in zip(keys, family.previous, strict=True) if mine]
        self.must_stay |= set(keys) - set(ours)
        expired = family.expires_in is not None and family.expires_in <= 0
        goes_whole = family.live in ("half deleted", "unfinished", "backup", "unproven") or (
            family.live == "plain" and expired
        )
        if keys and not goes_whole:
            last = in_truth[-1][0]
            self.must_stay |= {
                key
                for key, (number, (_, hours, _)) in zip(keys, generations, strict=True)
                if number == last or hours < 1
            }
        if family.replacement is not None and family.live != "unfinished":
            self._unfinished(name, 9, "next", family.replacement)
        if family.is_read:
            self.must_stay.add(live)
            add_clone(
                self.connection,
                f"c_{name}_reader",
                status="cloning",
                source_namespace_key=live,
                holder_host=Holder.current().host,
                holder_pid=Holder.current().pid,
                holder_started=Holder.current().started,
                heartbeat_at=NOW,
            )

    def _generation(self, name: str, number: int, made_here: bool, **values: Any) -> int:
        collection = f"c_{name}_{number}"
        return add_namespace(
            self.connection,
            namespace_id=f"ns_{name}",
            namespace_name=name,
            generation=number,
            document={"infrastructure": {"qdrant_collection": collection}},
            clone_id=collection if made_here else None,
            **{"clone_status": "ready" if made_here else None, **values},
        )

    def _previous(self, name: str, number: int, turn: int, made_here: bool, hours: int) -> int:
        if made_here:
            add_clone(self.connection, f"c_{name}_{number}")
        since = NOW - timedelta(hours=hours)
        return self._generation(
            name, number, made_here, role="previous", updated_at=since, turn=turn
        )

    def _live(self, name: str, family: Family) -> int:
        if family.live == "unfinished":
            return self._unfinished(name, 8, "live", family.age)
        made_here = family.live != "hand-made"
        proof = "counts" if family.live == "unproven" else "full"
        policy = {"backup": "nightly", "unproven": "nightly", "stranger": "gone"}.get(family.live)
        if made_here:
            add_clone(
                self.connection,
                f"c_{name}_8",
                policy=policy,
                request={**REQUEST, "verify": proof},
                created_at=NOW - timedelta(hours=family.age),
            )
        expires = None if family.expires_in is None else NOW + timedelta(hours=family.expires_in)
        status = {"hand-made": None, "half deleted": "failed"}.get(family.live, "ready")
        key = self._generation(name, 8, made_here, expires_at=expires, clone_status=status)
        if family.live == "backup":
            self.proven.append(key)
        kept = family.live == "plain" and (family.expires_in is None or family.expires_in > 0)
        if family.live in ("hand-made", "stranger") or kept:
            self.must_stay.add(key)
        return key

    def _unfinished(self, name: str, number: int, role: str, hours: int) -> int:
        since = NOW - timedelta(hours=hours)
        key = self._generation(name, number, True, role=role, clone_status="failed")
        add_clone(
            self.connection,
            f"c_{name}_{number}",
            namespace_key=key,
            status="failed",
            phase="copying",
            updated_at=since,
        )
        if hours < 7 * 24:
            self.must_stay.add(key)
        return key


def _keys(stores: Stores) -> set[int]:
    with stores.catalog.read() as connection:
        return set(connection.execute(select(namespaces.c.namespace_key)).scalars())


def _check(stores: Stores, families: list[Family], keep: Keep) -> None:
    policies: Policies = {"nightly": BackupRule(keep, timezone.utc, "ns_source")}
    with stores.catalog.write() as connection:
        world = World(connection, families)
    before = _keys(stores)
    dry = plan_sweep(stores, None, policies)
    assert _keys(stores) == before
    report = run_sweep(stores, None, policies, plan_sweep(stores, None, policies))
    after = _keys(stores)
    said = {one.key for entry in dry.removals for one in entry.generations}
    assert (report.removed, report.kept, report.failed) == (dry.removals, dry.kept, [])
    assert before - after == said
    assert world.must_stay <= after
    # What only an unfinished replacement kept from going goes the next time; then nothing does.
    run_sweep(stores, None, policies, plan_sweep(stores, None, policies))
    assert world.must_stay <= _keys(stores)
    assert plan_sweep(stores, None, policies).removals == []


_fixture_is_emptied = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(families=_FAMILIES, keep=_KEEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=_fixture_is_emptied)
@pytest.mark.outside
def test_a_sweep_does_what_its_dry_run_says(
    stores: Stores, families: list[Family], keep: Keep
) -> None:
    _check(stores, families, keep)


@pytest.mark.long
@given(families=_FAMILIES, keep=_KEEPS)
@settings(max_examples=500, deadline=None, suppress_health_check=_fixture_is_emptied)
def test_many_sweeps_do_what_their_dry_runs_say(
    stores: Stores, families: list[Family], keep: Keep
) -> None:
    _check(stores, families, keep)
