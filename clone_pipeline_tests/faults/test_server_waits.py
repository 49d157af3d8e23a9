"""A server that goes away, hangs or asks for patience while points are copied: waited out inside
the step. No step is tried again here: `harness.clone` runs each of them once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core import stores as core_stores
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import LeaseLost, StoreUnavailable, WorkError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.points import pages, retry
from clone_pipeline.core.points.retry import Retry
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline_tests import harness

from .bundles import NAME, QDRANT, small_namespace
from .qdrant import Qdrant, running
from .rest import ask, assert_equal_points, newest_clone

pytestmark = pytest.mark.outside

POINTS = 1240
EVERYTHING: dict[str, Any] = {"include_resources": harness.everything()}


class Sleeper:
    """The stores' `sleep`: a test says what happens when somebody waits. Else a short real one."""

    def __init__(self) -> None:
        self.naps = 0
        self.when: Callable[[int], None] = lambda nap: None
        self._lock = threading.Lock()

    def __call__(self, seconds: float) -> None:
        with self._lock:
            self.naps += 1
            self.when(self.naps)
        time.sleep(min(seconds, 0.1))


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[Qdrant]:
    with running(tmp_path / "server") as server:
        yield server


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts what it runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def stores(
    qdrant: Qdrant, sleeper: Sleeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stores]:
    """Small pages and slices, several at once; the source's points are on the server."""
    monkeypatch.setattr(pages, "FIRST_PAGE", 20)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 20)
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    with harness.open_stores(tmp_path, sleep=sleeper) as made:
        made = replace(made, vector_address=replace(made.vector_address, url=qdrant.url))
        harness.load(made, small_namespace(points=POINTS, objects=3))
        yield made


def clone(stores: Stores, **options: Any) -> Clone:
    return harness.clone(stores, NAME, "copy", **EVERYTHING, **options)


def before_write(monkeypatch: pytest.MonkeyPatch, number: int, fault: Callable[[], None]) -> None:
    """Half of the points of a write are there, the fault happens, and then comes the write."""
    write, lock, seen = ServerStore.write, threading.Lock(), [0]

    def wrapped(self: ServerStore, name: str, points: Any, *attempt: Any) -> None:
        with lock:
            seen[0] += 1
            now = seen[0] == number
        if now:
            write(self, name, points[: len(points) // 2], *attempt)
            fault()
        write(self, name, points, *attempt)

    monkeypatch.setattr(ServerStore, "write", wrapped)


def how_copied(stores: Stores) -> dict[str, Any]:
    with stores.catalog.read() as connection:
        reports = ledger.read_reports(connection, newest_clone(stores, "copy").clone_id)
    return reports["copy_points"].shown


def strict(qdrant: Qdrant, **limits: int) -> None:
    """Limits of the source from now on; its clone has them from its beginning."""
    body = {"strict_mode_config": {"enabled": True, **limits}}
    ask(qdrant.url, f"/collections/{QDRANT}", body, method="PATCH")


def unlimited(qdrant: Qdrant, collection: str) -> None:
    body = {"strict_mode_config": {"enabled": False}}
    ask(qdrant.url, f"/collections/{collection}", body, method="PATCH")


# ---- it goes away ----------------------------------------------------------------------------


def test_a_server_killed_and_started_again_is_waited_for(
    stores: Stores, qdrant: Qdrant, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_write(monkeypatch, 20, qdrant.kill)
    sleeper.when = lambda nap: qdrant.start() if nap == 3 else None
    clone(stores)
    assert sleeper.naps >= 3
    assert how_copied(stores)["waits"] > 0
    assert_equal_points(stores, "copy", qdrant.url, QDRANT)


def test_a_server_that_stays_away_fails_the_step_and_the_clone_is_gone_on_with(
    stores: Stores, qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_SECONDS", 1.0)
    before_write(monkeypatch, 20, qdrant.kill)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        clone(stores)
    half = newest_clone(stores, "copy")
    assert half.status == "failed"
    qdrant.start()
    assert clone(stores).clone_id == half.clone_id
    assert_equal_points(stores, "copy", qdrant.url, QDRANT)


def test_a_server_that_hangs_is_waited_for(
    stores: Stores, qdrant: Qdrant, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(url: str, key: str | None, grpc_port: int | None) -> ServerStore:
        return ServerStore.open(url, key, timeout_seconds=10, grpc_port=grpc_port)

    monkeypatch.setattr(core_stores, "_open_server", impatient)
    before_write(monkeypatch, 20, qdrant.pause)
    sleeper.when = lambda nap: qdrant.go_on()
    clone(stores)
    assert how_copied(stores)["waits"] > 0
    assert_equal_points(stores, "copy", qdrant.url, QDRANT)


# ---- it asks for patience --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "page"), [({"write_rate_limit": 1000}, 20), ({"read_rate_limit": 230}, 4)]
)
@pytest.mark.long
def test_a_rate_limit_is_waited_out(
    stores: Stores,
    qdrant: Qdrant,
    limits: dict[str, int],
    page: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A minute's worth can be had at once, and what is missing comes within seconds (a machine that
    takes as long for the rest would never wait). It is no matter how long the server is not ready,
    as long as it says when it will be."""
    monkeypatch.setattr(pages, "FIRST_PAGE", page)
    monkeypatch.setattr(pages, "LARGEST_PAGE", page)
    monkeypatch.setattr(retry, "_LONGEST_SECONDS", 0.0)
    strict(qdrant, **limits)
    clone(replace(stores, sleep=time.sleep), verify="counts")
    assert how_copied(stores)["waits"] > 0
    for name in (QDRANT, newest_clone(stores, "copy").qdrant_collection):
        unlimited(qdrant, name)
    assert_equal_points(stores, "copy", qdrant.url, QDRANT)


def test_a_page_larger_than_the_rate_limit_is_written_in_parts(stores: Stores) -> None:
    """To begin again with the first part each time would use up what the next one needs."""
    points = [EncodedPoint.of(Point(id, {}, {})) for id in range(1300)]
    with stores.vectors() as vectors:
        limit = {"enabled": True, "write_rate_limit": 1200}
        vectors.create("limited", {"vectors": {}, "strict_mode_config": limit})
        vectors.write("limited", points[:1])  # the first write of all costs twice as much
        waiting = Retry(replace(stores, sleep=time.sleep))
        vectors.write("limited", points, waiting)
        assert vectors.count("limited") == len(points)
    assert 1 <= waiting.waits <= 3


def test_what_no_wait_would_admit_is_refused_at_once(stores: Stores, qdrant: Qdrant) -> None:
    with stores.vectors() as vectors:
        assert isinstance(vectors, ServerStore)
        vectors.create("limited", {"vectors": {}})
        points = [EncodedPoint.of(Point(id, {}, {})) for id in range(9)]
        vectors.write("limited", points)  # it looks at the limits now
        body = {"strict_mode_config": {"enabled": True, "write_rate_limit": 5}}
        ask(qdrant.url, "/collections/limited", body, method="PATCH")
        for write in (
            lambda: vectors.write("limited", points),
            lambda: vectors.upsert("limited", [point.plain() for point in points]),
        ):
            with pytest.raises(WorkError, match=r"refused.*split your request") as refused:
                write()
            assert not isinstance(refused.value, StoreUnavailable)


# ---- a long wait is given up -----------------------------------------------------------------


def no_reads_left(qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the tenth page on, one page a minute."""
    before_write(monkeypatch, 10, lambda: strict(qdrant, read_rate_limit=1))


@pytest.mark.usefixtures("interruptible")
def test_a_cancel_ends_a_long_wait(
    stores: Stores, qdrant: Qdrant, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Dagster does it: an exception in the main thread. What waits in other threads, minutes
    more, takes one more look at most."""
    stopped, init = threading.Event(), Retry.__init__

    def with_known_stop(self: Retry, *args: Any) -> None:
        init(self, *args)
        self.stop = stopped

    def cancel(nap: int) -> None:
        if nap == 20:
            signal.raise_signal(signal.SIGINT)
        if nap >= 20:
            assert stopped.wait(60)

    sleeper.when = cancel
    with monkeypatch.context() as patched:
        patched.setattr(Retry, "__init__", with_known_stop)
        no_reads_left(qdrant, patched)
        with pytest.raises(KeyboardInterrupt):
            clone(stores, concurrent_slices=4)
    assert sleeper.naps <= 20 + 4
    unlimited(qdrant, QDRANT)
    sleeper.when = lambda nap: None
    half = newest_clone(stores, "copy")
    ledger.fail(stores, half.clone_id, str(half.run_id), "cancelled")
    assert clone(stores).clone_id == half.clone_id
    assert_equal_points(stores, "copy", qdrant.url, QDRANT)


def test_a_lost_lease_ends_a_long_wait(
    stores: Stores, qdrant: Qdrant, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_reads_left(qdrant, monkeypatch)

    def take_over(nap: int) -> None:
        if nap == 20:
            with stores.catalog.write() as connection:
                connection.execute(
                    update(schema.clones).values(token=schema.clones.c.token + 1, run_id="other")
                )

    sleeper.when = take_over
    with pytest.raises(LeaseLost):
        clone(stores, concurrent_slices=4)
    assert sleeper.naps <= 20 + 2 * 4
