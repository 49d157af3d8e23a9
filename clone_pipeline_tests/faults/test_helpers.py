"""Several processes work on one clone, and some are killed, stopped or come late: nothing is lost,
extra or altered, and hardly anything is done twice."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, make_url, select

from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.catalog.schema import clone_slices
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline_tests import harness
from clone_pipeline_tests.conftest import PostgresServer
from clone_pipeline_tests.qdrant_server import _free_ports
from clone_pipeline_tests.sources import ORGANIZATION

from .bundles import QDRANT, small_namespace
from .helper import AWAY
from .network import Cut, Network, network
from .place import Outcome, Place, Process, wait_until
from .qdrant import Qdrant, running
from .rest import assert_equal_points, collections, newest_clone

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "200"))
POINTS, PAGE, PER_SLICE = 3_000, 50, 250
SLICES = POINTS // PER_SLICE
# Seconds for which a silent process keeps its slices; half of it for itself.
CLAIM = 8.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    with running(tmp_path_factory.mktemp("qdrant") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def catalog(postgres_server: PostgresServer) -> Iterator[str]:
    database = f"helpers_{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {database} TEMPLATE {postgres_server.template}")
    try:
        yield postgres_server.address(database)
    finally:
        postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="module")
def loaded(server: Qdrant, catalog: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(
        tmp_path_factory.mktemp("many"), {"QDRANT_URL": server.url, "CATALOG_URL": catalog}
    )
    place.home.mkdir()
    with place.stores() as stores:
        harness.load(stores, small_namespace(points=POINTS, objects=5))
    return place


class Crew:
    """A run that makes one clone, and those who help it."""

    def __init__(self, place: Place, name: str, folder: Path, **faults: Any) -> None:
        self.place, self.name, self.folder = place, name, folder
        self.end = folder / "end"
        self._writes = folder / "writes"
        self._faults = {"page": PAGE, "per_slice": PER_SLICE, "writes": str(self._writes), **faults}
        self._all: list[Process] = []

    def run(self, workers: int = 2, **faults: Any) -> Process:
        faults = {**self._faults, **faults}
        made = self.place.start_child(self.name, faults, concurrent_slices=workers)
        self._all.append(made)
        return made

    def helper(self, env: dict[str, str] | None = None, **faults: Any) -> Process:
        faults = {**self._faults, **faults}
        made = self.place.start(str(self.end), env=env, module="helper", **faults)
        self._all.append(made)
        return made

    def dismiss(self) -> int:
        """Whoever only helps ends now, and well. How many of all had been killed."""
        self.end.touch()
        codes = []
        for one in self._all:
            outcome = one.end()
            assert outcome.code in (0, AWAY, -signal.SIGKILL), outcome.err
            codes.append(outcome.code)
        return codes.count(-signal.SIGKILL)

    def kill(self) -> None:
        for one in self._all:
            one.kill()

    def gate(self, name: str) -> str:
        return str(self.folder / name)

    def slices(self, *where: Any) -> int:
        with self.place.stores() as stores:
            query = select(func.count()).select_from(clone_slices)
            mine = clone_slices.c.clone_id == newest_clone(stores, self.name).clone_id
            with stores.catalog.read() as connection:
                return int(connection.execute(query.where(mine, *where)).scalar_one())

    def wait_for_slices(self, done: int) -> None:
        wait_until(lambda: self.slices(clone_slices.c.done) >= done, "slices that are copied")

    def is_ready(self) -> bool:
        with self.place.stores() as stores:
            return newest_clone(stores, self.name).status == "ready"

    def reports(self) -> dict[str, dict[str, Any]]:
        with self.place.stores() as stores:
            clone_id = newest_clone(stores, self.name).clone_id
            with stores.catalog.read() as connection:
                found = ledger.read_reports(connection, clone_id)
        return {step: report.shown for step, report in found.items()}

    def assert_whole(self, url: str, repeated: int = 0) -> None:
        """All points are there as they must be, and at most so many were written twice."""
        written = sum(map(int, self._writes.read_text().split()))
        assert POINTS <= written <= POINTS + repeated
        with self.place.stores() as stores:
            assert_equal_points(stores, self.name, url, QDRANT)
        proof = self.reports()["verify_clone"]
        assert (proof["differences"], proof["repaired"]) == (0, 0)
        assert proof["points_compared"] == POINTS
        assert self.slices() == SLICES
        assert self.slices(clone_slices.c.holder_host.is_not(None)) == 0


@pytest.fixture
def crew(loaded: Place, tmp_path: Path) -> Iterator[Crew]:
    made = Crew(loaded, f"copy-{uuid.uuid4().hex[:8]}", tmp_path)
    try:
        yield made
    finally:
        made.kill()


def good(process: Process) -> Outcome:
    outcome = process.end()
    assert outcome.code == 0, outcome
    return outcome


def reached(gate: str) -> None:
    wait_until(Path(f"{gate}.reached").exists, gate)


def go_on(gate: str) -> None:
    Path(gate).touch()


def test_points_are_copied_and_proven_by_all_who_help(crew: Crew, server: Qdrant) -> None:
    """The run stands still in both steps, until the others have done what there is beside its own
    two slices."""
    copying, proving = crew.gate("copying"), crew.gate("proving")
    waits = {"copy_points:upsert:after": copying, "verify_clone:scroll:after": proving}
    run = crew.run(wait=waits)
    reached(copying)
    helpers = [crew.helper(), crew.helper()]
    crew.wait_for_slices(SLICES - 2)
    go_on(copying)
    reached(proving)
    proven = clone_slices.c.proof.is_not(None)
    wait_until(lambda: crew.slices(proven) >= SLICES - 2, "slices that are proven")
    go_on(proving)
    good(run)
    crew.dismiss()
    crew.assert_whole(server.url)
    for step in ("copy_points", "verify_clone"):
        workers = crew.reports()[step]["workers"]
        pids = {run.pid, *(one.pid for one in helpers)}
        assert {row["process"] for row in workers} <= pids
        assert len(workers) >= 2
        assert sum(row["points"] for row in workers) == POINTS
    assert crew.reports()["copy_points"]["points_in_this_run"] == POINTS


def test_the_slices_of_a_killed_helper_are_done_by_others(crew: Crew, server: Qdrant) -> None:
    copying = crew.gate("copying")
    run = crew.run(wait={"copy_points:upsert:after": copying})
    reached(copying)
    helper = crew.helper(kill=["help:upsert:half", 7])
    assert helper.end().code == -signal.SIGKILL
    assert crew.slices(clone_slices.c.holder_host.is_not(None)) > 2
    go_on(copying)
    good(run)
    crew.assert_whole(server.url, repeated=4 * PAGE)


@pytest.mark.long
def test_a_helper_that_was_stopped_for_long_writes_nothing_when_it_wakes(
    crew: Crew, server: Qdrant
) -> None:
    copying, writing = crew.gate("copying"), crew.gate("writing")
    run = crew.run(wait={"copy_points:upsert:after": copying}, claim=CLAIM)
    reached(copying)
    # Between its last look into the ledger and the request.
    helper = crew.helper(wait_at=["help:upsert:half", 3, writing], claim=CLAIM)
    reached(writing)
    os.kill(helper.pid, signal.SIGSTOP)
    go_on(copying)
    good(run)
    with crew.place.stores() as stores, stores.vectors() as vectors:
        made = newest_clone(stores, crew.name)
        assert made.status == "ready"
        before = vectors.last_write(made.qdrant_collection)
        go_on(writing)
        os.kill(helper.pid, signal.SIGCONT)
        crew.dismiss()
        assert before is not None
        assert vectors.last_write(made.qdrant_collection) == before
    # What it was about to write was written by the run; on a slow machine others were late, too.
    crew.assert_whole(server.url, repeated=POINTS)


@pytest.mark.parametrize("how", Cut, ids=[how.name.lower() for how in Cut])
@pytest.mark.long
def test_a_helper_that_is_cut_off_loses_its_slices_and_writes_nothing_of_them_later(
    crew: Crew, server: Qdrant, how: Cut
) -> None:
    copying, writing = crew.gate("copying"), crew.gate("writing")
    run = crew.run(wait={"copy_points:upsert:after": copying}, claim=CLAIM)
    reached(copying)
    with cuttable(crew.place) as (net, env):
        helper = crew.helper(env, wait_at=["help:upsert:half", 3, writing], claim=CLAIM)
        reached(writing)
        net.cut(how)
        go_on(writing)
        go_on(copying)
        good(run)
        assert crew.is_ready()
        net.mend()
        assert helper.popen.poll() is None
        crew.dismiss()
    crew.assert_whole(server.url, repeated=4 * PAGE)


@pytest.mark.long
def test_helpers_finish_what_a_killed_run_has_begun(crew: Crew, server: Qdrant) -> None:
    run = crew.run(kill=["copy_points:write:committed", 12], claim=CLAIM)
    helper = crew.helper(claim=CLAIM)
    assert run.end().code == -signal.SIGKILL
    crew.wait_for_slices(SLICES)
    good(crew.run(claim=CLAIM))
    assert helper.popen.poll() is None
    crew.dismiss()
    crew.assert_whole(server.url, repeated=2 * PAGE)
    assert crew.reports()["copy_points"]["points_in_this_run"] == 0


def test_a_run_that_has_ended_takes_its_helpers_with_it(crew: Crew, server: Qdrant) -> None:
    """What was cancelled is deleted at once, and nothing of it comes back."""
    copying, writing = crew.gate("copying"), crew.gate("writing")
    run = crew.run(wait={"copy_points:upsert:after": copying})
    reached(copying)
    crew.helper(wait_at=["help:upsert:half", 5, writing])
    reached(writing)
    run.kill()
    with crew.place.stores() as stores:
        made = newest_clone(stores, crew.name)
        assert made.run_id is not None
        ledger.fail(stores, made.clone_id, made.run_id, ledger.CANCELLED)
        discard(stores, newest_clone(stores, crew.name))
    go_on(writing)
    crew.dismiss()
    assert made.qdrant_collection not in collections(server.url)
    assert crew.slices() == 0


def test_the_command_helps_until_there_is_nothing_to_do(crew: Crew, server: Qdrant) -> None:
    copying = crew.gate("copying")
    run = crew.run(wait={"copy_points:upsert:after": copying})
    reached(copying)
    with crew.place.stores() as stores:
        key, _ = create_key(stores.catalog, ORGANIZATION, "member", stores.clock())
    env = {"CLONE_PIPELINE_API_KEY": key}
    command = crew.place.start("work", "--once", env=env, page=PAGE)
    said = good(command).err
    assert f"points of {crew.name!r}." in said
    go_on(copying)
    good(run)
    assert len(crew.reports()["copy_points"]["workers"]) == 2


@pytest.mark.long
def test_any_number_of_workers_killed_at_random_moments(
    loaded: Place, server: Qdrant, tmp_path: Path
) -> None:
    """Also the run itself, which another one resumes. Some are stopped, or cut off from all
    servers, and a part of these for longer than they may keep what they have."""
    chance = random.Random(20261130)
    kills = clones = 0
    with cuttable(loaded) as (net, env):
        while kills < KILLS:
            folder = tmp_path / str(clones)
            folder.mkdir()
            crew = Crew(loaded, f"random-{clones}", folder, claim=CLAIM)
            try:
                harmed = _made_under_fire(crew, chance, net, env) + crew.dismiss()
            finally:
                net.mend()
                crew.kill()
            crew.assert_whole(server.url, repeated=(harmed + 1) * 8 * PAGE)
            kills, clones = kills + harmed, clones + 1


def _made_under_fire(crew: Crew, chance: random.Random, net: Network, env: dict[str, str]) -> int:
    """Until the clone is ready. How often a helper was stopped or cut off."""
    run: Process | None = None
    harmed, helpers, behind = 0, list[Process](), list[Process]()
    while run is None or run.popen.poll() is None or not _is_over(crew, run):
        if run is None or run.popen.poll() is not None:
            run = crew.run(chance.randint(1, 4), kill_at=chance.choice([None, 60, 150]))
        helpers = [one for one in helpers if one.popen.poll() is None]
        if len(helpers) < chance.randint(0, 3):
            # Of two, one is behind the network that is cut.
            where = env if chance.random() < 0.5 else None
            helpers.append(crew.helper(where, kill_at=chance.choice([None, 10, 40, 90])))
            behind += helpers[-1:] if where else []
        harm = chance.choice([signal.SIGSTOP, signal.SIGKILL, *Cut, None])
        victim = chance.choice([*helpers, None])
        if isinstance(harm, Cut):
            net.cut(harm)
            harmed += any(one in behind for one in helpers)
        elif harm is not None and victim is not None:
            _signal(victim, harm)
            harmed += harm is signal.SIGSTOP
        too_long = chance.random() < 0.1
        seconds = CLAIM * 1.5 if too_long else chance.uniform(0.1, 1.0)
        wait_until(_some_time(seconds), "some time")
        net.mend()
        if victim is not None:
            _signal(victim, signal.SIGCONT)
    return harmed


def _signal(process: Process, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has killed itself this very moment
        os.kill(process.pid, what)


def _is_over(crew: Crew, run: Process) -> bool:
    return run.end().code == 0 or crew.is_ready()


@contextmanager
def cuttable(place: Place) -> Iterator[tuple[Network, dict[str, str]]]:
    """A network before both servers, and the variables of who is behind it."""
    http, grpc = _free_ports()
    catalog, behind = _free_ports()[0], make_url(place.env["CATALOG_URL"])
    qdrant = urlsplit(place.env["QDRANT_URL"]).port
    assert behind.port is not None
    assert qdrant is not None
    ways = ((http, qdrant), (grpc, qdrant + 1), (catalog, behind.port))
    with network(*ways) as net:
        yield (
            net,
            {
                "QDRANT_URL": f"http://127.0.0.1:{http}",
                "CATALOG_URL": behind.set(port=catalog).render_as_string(hide_password=False),
            },
        )


def _some_time(seconds: float) -> Any:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until
