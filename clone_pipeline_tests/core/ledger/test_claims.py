"""Of all who have had a slice only the last one writes, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, insert, select, text, update

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import clone_slices, clones
from clone_pipeline.core.errors import InvalidRequest, LeaseLost
from clone_pipeline.core.helping import Helper, refuse_alone
from clone_pipeline.core.ledger import claims as claiming
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.claims import Claim, ClaimLost, Claims, Taken, offering
from clone_pipeline.core.ledger.lease import Lease
from clone_pipeline.core.ledger.lease_timing import CLAIM_SECONDS, OWN_CLAIM_SECONDS
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.plan.reservation import Waiting, settle
from clone_pipeline.core.points import together
from clone_pipeline.core.points.retry import Retry
from clone_pipeline.core.process import Holder
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.slices import Slice
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.catalog.rows import add_clone

pytestmark = pytest.mark.outside

SLICES = 4
ID = "clone_1"


class Place:
    """A clone with slices in a ledger, and a clock for the ages of claims."""

    def __init__(self, stores: Stores, patched: pytest.MonkeyPatch) -> None:
        self.stores, self.now = stores, 1000.0
        for module in (claiming, together):
            patched.setattr(module, "seconds", lambda: self.now)

    def begin(self) -> None:
        values = {"status": "cloning", "phase": "copying", "token": 1, "run_id": "run"}
        with self.stores.catalog.write() as connection:
            connection.execute(delete(clones))
            add_clone(connection, ID, offered="copy", **values)
            rows = [Slice(index).to_row(ID) for index in range(SLICES)]
            connection.execute(insert(clone_slices), rows)

    def claims(self, host: str, token: int = 1, *, helps: bool = True) -> Claims:
        made = Claims(Lease(self.stores, ID, token, helps="copy" if helps else None), "copy")
        made.me = Holder(host, 1, 0.0)
        return made

    def pass_seconds(self, seconds: float) -> None:
        """For all machines, the database's included."""
        self.now += seconds
        earlier = "UPDATE clone_slices SET heartbeat_at = heartbeat_at - make_interval(secs => :s)"
        with self.stores.catalog.write() as connection:
            connection.execute(text(earlier), {"s": seconds})

    def rows(self) -> list[Any]:
        with self.stores.catalog.read() as connection:
            query = select(clone_slices).order_by(clone_slices.c.slice)
            return list(connection.execute(query).all())


@pytest.fixture
def place(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with harness.open_stores(tmp_path, postgres_url) as stores:
        # Nobody asks it anything.
        where = VectorAddress(tmp_path, url="http://127.0.0.1:1")
        made = Place(replace(stores, vector_address=where), monkeypatch)
        made.begin()
        yield made


def write(claim: Claim, points: int = 1) -> None:
    with claim.write() as connection:
        this = update(clone_slices).where(*claim.is_mine)
        connection.execute(this.values(points=clone_slices.c.points + points))


def take(claims: Claims) -> Claim:
    taken = claims.take()
    assert taken is not None
    return taken.claim


def test_each_slice_is_given_to_one(place: Place) -> None:
    several = [place.claims(host) for host in "abc"]
    taken = [take(several[n % 3]).slice for n in range(SLICES)]
    assert taken == list(range(SLICES))
    assert [one.take() for one in several] == [None] * 3
    assert all(one.are_elsewhere() for one in several)


def test_who_is_silent_loses_its_slice_and_knows_it_before_another_one_has_it(
    place: Place,
) -> None:
    silent, other = place.claims("a"), place.claims("b")
    claim = take(silent)
    for _ in range(SLICES - 1):
        take(other)
    place.pass_seconds(OWN_CLAIM_SECONDS + 1)
    # It was stopped, and nobody has taken it yet.
    silent._beat()
    for forbidden in (claim.check_age, claim.check, lambda: write(claim)):
        with pytest.raises(ClaimLost):
            forbidden()
    place.pass_seconds(CLAIM_SECONDS - OWN_CLAIM_SECONDS)
    again = take(other)
    assert (again.slice, again.claim) == (claim.slice, claim.claim + 1)
    claim.sign.at = place.now  # as if its clock had stood still as well
    for forbidden in (claim.check, lambda: write(claim)):
        with pytest.raises(ClaimLost):
            forbidden()
    claim.release()
    write(again)
    assert place.rows()[claim.slice].points == 1


def test_a_sign_of_life_keeps_it(place: Place) -> None:
    claims = place.claims("a")
    claim = take(claims)
    for _ in range(10):
        place.pass_seconds(OWN_CLAIM_SECONDS - 1)
        claims._beat()
    write(claim)


def test_what_a_dead_process_of_this_machine_had_is_free_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, other = place.claims("a"), place.claims("b")
    claim = take(dead)
    monkeypatch.setattr(Holder, "is_dead", lambda self: self.host == "a" or None)
    assert other.are_elsewhere()
    assert [take(other).slice for _ in range(SLICES)] == list(range(SLICES))
    with pytest.raises(ClaimLost):
        write(claim)


@pytest.mark.parametrize("status", ["failed", "ready", "discarded"])
def test_a_helper_stops_with_the_run(place: Place, status: str) -> None:
    claim = take(place.claims("a"))
    with place.stores.catalog.write() as connection:
        connection.execute(update(clones).values(status=status))
    for forbidden in (claim.check, lambda: write(claim), place.claims("b").take):
        with pytest.raises(LeaseLost):
            forbidden()


def test_nobody_works_on_for_a_run_that_was_ended(place: Place) -> None:
    claim = take(place.claims("a"))
    ledger.end_run(place.stores, ID, "run", "Its machine is gone.")
    with pytest.raises(LeaseLost):
        write(claim)
    with place.stores.catalog.read() as connection:
        assert ledger.get(connection, ID).offered is None


def test_who_offers_the_slices_has_them_all_again(place: Place) -> None:
    """As a run does that goes on with another one's, or has made the collection anew."""
    claim = take(place.claims("a"))
    run = Lease(place.stores, ID, 1)
    with offering(run, "copy"):
        with pytest.raises(ClaimLost):
            write(claim)
        assert take(place.claims("run", helps=False)).slice == claim.slice
        take(place.claims("b"))
    with pytest.raises(LeaseLost):
        place.claims("b").take()


def test_helpers_leave_the_run_s_own_signs_of_life_alone(place: Place) -> None:
    columns = (clones.c.holder_host, clones.c.holder_pid, clones.c.heartbeat_at)
    write(take(place.claims("a")))
    with place.stores.catalog.read() as connection:
        assert tuple(connection.execute(select(*columns)).one()) == (None, None, None)


def test_who_took_a_slice_and_never_heard_so_gets_it_again(place: Place) -> None:
    claims = place.claims("a")
    claim = take(claims)
    claims._mine.clear()
    assert take(claims).claim == claim.claim + 1


@pytest.mark.parametrize("lacks", ["server", "database"])
def test_where_a_run_does_everything_itself_helpers_say_so(
    place: Place, tmp_path: Path, lacks: str
) -> None:
    stores = place.stores
    if lacks == "server":
        stores = replace(stores, vector_address=VectorAddress(tmp_path))
        said = "its Qdrant is embedded"
    else:
        with harness.open_stores(tmp_path) as sqlite:
            stores = replace(stores, catalog=sqlite.catalog)
        said = "its catalog is SQLite"
    with pytest.raises(InvalidRequest, match=said):
        refuse_alone(stores)


def test_who_is_writing_for_long_is_not_taken_for_dead(place: Place) -> None:
    """Its heartbeats wait for the row that it has itself."""
    waiting, lease = Waiting(ID, "run"), Lease(place.stores, ID, 1)
    stores = replace(place.stores, clock=lambda: place.stores.clock() + timedelta(hours=1))
    with place.stores.catalog.write() as connection:
        held = {"holder_host": "elsewhere", "holder_pid": 1, "heartbeat_at": place.stores.clock()}
        connection.execute(update(clones).values(held))
    with lease.write():
        assert settle(stores, waiting, "under way") is None
    assert settle(stores, waiting, "under way") is not None


def test_a_helper_that_was_long_enough_with_one_clone_looks_for_another(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_STAY_SECONDS", 30.0)
    request = {"namespace_identifier": "a", "namespace_name": "b", "concurrent_slices": 1}
    done = []

    def function(taken: Taken) -> None:
        done.append(taken.claim.slice)
        place.pass_seconds(19)
        with taken.claim.write() as connection:
            mine = update(clone_slices).where(*taken.claim.is_mine)
            connection.execute(mine.values(done=True, **claiming.NOBODY))

    with place.stores.catalog.read() as connection:
        clone = replace(ledger.get(connection, ID), request=request)
    lease = Lease(place.stores, ID, 1, helps="copy")
    work = Work(place.stores, clone, lease, place.stores.clock(), Meter(place.stores.clock))
    server = SimpleNamespace(embedded=False)
    sides: Any = SimpleNamespace(source=server, target=server, retry=Retry(place.stores))
    together.work_through(work, sides, "copy", function)
    assert done == [0, 1]


def test_a_helper_goes_where_the_fewest_are(place: Place) -> None:
    helper, other = Helper(place.stores, print), place.claims("a")
    take(other)
    with place.stores.catalog.write() as connection:
        values = {"status": "cloning", "token": 1}
        for name, offered in (("clone_2", "prove"), ("clone_3", None)):
            add_clone(connection, name, offered=offered, **values)
            connection.execute(insert(clone_slices), [Slice(0).to_row(name)])
    found = helper._find()
    assert found is not None
    assert found.clone_id == "clone_2"
    helper._aside["clone_2"] = float("inf")
    found = helper._find()
    assert found is not None
    assert found.clone_id == ID
    for _ in range(SLICES - 1):
        take(other)
    assert helper._find() is None


class Workers(RuleBasedStateMachine):
    """Processes that take slices, write, are killed, sleep and wake, and runs that take over."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.place.begin()
        self.token = 1
        self.claims = {host: self.place.claims(host) for host in "abc"}
        self.held: list[tuple[str, int, Claim]] = []  # also what is lost, by now
        self.points = dict.fromkeys(range(SLICES), 0)
        self.last = dict.fromkeys(range(SLICES), 0)

    @rule(host=st.sampled_from("abc"))
    def take(self, host: str) -> None:
        try:
            taken = self.claims[host].take()
        except LeaseLost:
            assert self.claims[host]._lease.token != self.token
            self.claims[host] = self.place.claims(host, self.token)
            return
        if taken is not None:
            claim = taken.claim
            assert claim.claim > self.last[claim.slice]
            self.last[claim.slice] = claim.claim
            self.held.append((host, self.token, claim))

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        if not self.held:
            return
        _, token, claim = data.draw(st.sampled_from(self.held))
        try:
            claim.check()
            write(claim)
        except (ClaimLost, LeaseLost):
            return
        assert claim.claim == self.last[claim.slice]
        assert token == self.token
        self.points[claim.slice] += 1

    @rule(host=st.sampled_from("abc"))
    def beat(self, host: str) -> None:
        self.claims[host]._beat()

    @rule(host=st.sampled_from("abc"))
    def die_and_come_back(self, host: str) -> None:
        self.claims[host] = self.place.claims(f"{host}", self.token)
        self.held = [one for one in self.held if one[0] != host]

    @rule(seconds=st.sampled_from([1.0, 6.0, 15.0, 25.0, 40.0]))
    def pass_seconds(self, seconds: float) -> None:
        self.place.pass_seconds(seconds)

    @rule()
    def another_run_takes_over(self) -> None:
        self.token += 1
        with self.place.stores.catalog.write() as connection:
            connection.execute(update(clones).values(token=self.token))
        offered = offering(Lease(self.place.stores, ID, self.token), "copy")
        offered.__enter__()
        self.last = {row.slice: row.claim for row in self.place.rows()}

    @invariant()
    def what_was_written_is_what_was_allowed(self) -> None:
        assert {row.slice: row.points for row in self.place.rows()} == self.points


def test_of_any_workers_only_the_last_one_that_took_a_slice_writes(place: Place) -> None:
    class Here(Workers):
        pass

    Here.place = place
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_catalog_of_one_file_gives_slices_out_too(tmp_path: Path) -> None:
    """There a process is alone: what it has never ends by itself."""
    with harness.open_stores(tmp_path) as stores:
        assert isinstance(stores.catalog, Catalog)
        with stores.catalog.write() as connection:
            add_clone(connection, ID, status="cloning", token=1)
            connection.execute(insert(clone_slices), [Slice(n).to_row(ID) for n in range(2)])
        lease = Lease(stores, ID, 1)
        with offering(lease, "copy"):
            claims = Claims(lease, "copy")
            first, second = take(claims), take(claims)
            assert claims.take() is None
            assert not claims.are_elsewhere()
            assert not first.ends
            write(first)
            second.release()
        with stores.catalog.read() as connection:
            assert connection.execute(select(clones.c.offered)).scalar() is None
