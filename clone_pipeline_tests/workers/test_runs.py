"""Runs on workers that share no folder: whatever happens to a worker, a broker or a message."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from dagster._core.launcher import LaunchRunContext

from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.lease_timing import LEASE_SECONDS
from clone_pipeline.workers import launcher
from clone_pipeline_tests.workers.brokers import Broker
from clone_pipeline_tests.workers.cluster import Cluster, Worker, wait_until
from clone_pipeline_tests.workers.conftest import POINTS

pytestmark = pytest.mark.long

# Long enough for something to happen on a busy machine.
SLOWLY = {"max_points_per_second": 2}
LEFT = "The run ended without a word"


@pytest.fixture(autouse=True)
def as_of_the_cluster(
    clean_environment: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests act as its webserver and its daemon."""
    for name, value in cluster.variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def soon_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """For who looks after runs; a worker's heartbeat comes every five seconds as ever."""
    take_for_dead_after(monkeypatch, 15.0)


def take_for_dead_after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for module in (ledger, launcher):
        monkeypatch.setattr(module, "LEASE_SECONDS", seconds)


def test_a_broker_that_is_away_is_one_sentence(cluster: Cluster, messages: Broker) -> None:
    cluster.stop()
    messages.stop()
    try:
        with pytest.raises(StoreUnavailable, match=r"The Celery broker .* cannot be reached: "):
            cluster.launch("copy")
    finally:
        messages.start()


def test_without_a_worker_a_run_says_so_and_is_not_begun_when_one_comes_too_late(
    cluster: Cluster,
) -> None:
    cluster.stop()
    run_id = cluster.launch("late")
    assert "No Celery worker answers" in cluster.log_of(run_id)
    run = cluster.instance.get_run_by_id(run_id)
    assert run is not None
    said = cluster.instance.run_launcher.get_run_worker_debug_info(run)
    assert "celery -A clone_pipeline.workers.app worker" in str(said)
    cluster.instance.report_run_failed(run)  # as Dagster does after `start_timeout_seconds`
    one = cluster.worker("one")
    wait_until(lambda: "succeeded in" in one.log.read_text(), "the message")
    assert cluster.clone("late") == {}
    assert "had already finished" in cluster.log_of(run_id)


def test_a_run_is_cancelled_on_one_worker_and_goes_on_at_another(cluster: Cluster) -> None:
    cluster.stop()
    one = cluster.worker("one")
    first = cluster.launch("copy", **SLOWLY)
    assert cluster.wait_for_copying("copy") == "one"
    cluster.cancel(first)
    began = time.monotonic()
    wait_until(lambda: cluster.clone("copy")["status"] == "failed", "the cancel")
    print(f"the cancel took {time.monotonic() - began:.1f} s")
    assert cluster.end(first) == "CANCELED"
    assert cluster.clone("copy")["error"].startswith("The run was cancelled;")
    assert cluster.clone("copy")["holder_host"] is None
    one.kill()
    cluster.worker("two")
    second = cluster.again(first)
    assert cluster.end(second) == "SUCCESS", cluster.log_of(second)
    assert "copy_points" in cluster.steps(second)
    assert cluster.steps(second).isdisjoint({"plan_clone", "clone_config", "clone_buckets"})
    cluster.assert_whole("copy", POINTS)


def test_a_run_that_is_delivered_twice_is_made_once(cluster: Cluster) -> None:
    cluster.worker("one")
    cluster.worker("two")
    run_id = cluster.launch("twice", **SLOWLY)
    cluster.wait_for_copying("twice")
    run = cluster.instance.get_run_by_id(run_id)
    assert run is not None
    cluster.instance.run_launcher.launch_run(LaunchRunContext(run, workspace=cast(Any, None)))
    wait_until(lambda: "Ignoring a duplicate run" in cluster.log_of(run_id), "the second")
    assert cluster.end(run_id) == "SUCCESS"
    assert cluster.clone("twice")["token"] == 1
    cluster.assert_whole("twice", POINTS)


def test_a_broker_that_is_restarted_stops_no_run(
    cluster: Cluster, messages: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A worker waits longer from time to time until it tries to connect again.
    take_for_dead_after(monkeypatch, LEASE_SECONDS)
    cluster.worker("one")
    run_id = cluster.launch("restarted", **SLOWLY)
    cluster.wait_for_copying("restarted")
    messages.stop()
    try:
        cluster.look_after()
    finally:
        messages.start()
    while cluster.status(run_id).value == "STARTED":
        cluster.look_after()
        time.sleep(0.5)
    assert cluster.end(run_id) == "SUCCESS", cluster.log_of(run_id)
    # And the workers take the next one.
    assert cluster.end(cluster.launch("after_it")) == "SUCCESS"


@pytest.mark.parametrize("kill", [Worker.kill_child, Worker.kill], ids=["its child", "all of it"])
def test_a_killed_worker_ends_its_run_and_the_next_one_goes_on_at_once(
    cluster: Cluster, kill: Callable[[Worker], None]
) -> None:
    name = f"killed_{kill.__name__}"
    workers = {it: cluster.worker(it) for it in ("one", "two")}
    first = cluster.launch(name, **SLOWLY)
    host = cluster.wait_for_copying(name)
    wait_until(lambda: cluster.copied(name), "points")
    kill(workers[host])
    before = cluster.copied(name)
    wait_until(lambda: cluster.look_after() or cluster.status(first).value == "FAILURE", "its end")
    second = cluster.again(first)  # it waits for no lease
    assert cluster.end(second) == "SUCCESS", cluster.log_of(second)
    assert "clone_buckets" not in cluster.steps(second)
    assert before > 0
    cluster.assert_whole(name, POINTS)


def test_a_worker_that_was_taken_for_dead_writes_nothing_when_it_wakes_up(
    cluster: Cluster,
) -> None:
    workers = {it: cluster.worker(it) for it in ("one", "two")}
    first = cluster.launch("asleep", **SLOWLY)
    worker = workers[cluster.wait_for_copying("asleep")]
    tasks = worker.log.read_text().count("succeeded in")
    for process in worker.family:
        os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: cluster.look_after() or cluster.status(first).value == "FAILURE", "its end")
    before, points = cluster.clone("asleep"), cluster.copied("asleep")
    assert (before["status"], before["error"][: len(LEFT)]) == ("failed", LEFT)
    for process in worker.family:
        os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: worker.log.read_text().count("succeeded in") > tasks, "the end of the task")
    assert (cluster.clone("asleep"), cluster.copied("asleep")) == (before, points)
