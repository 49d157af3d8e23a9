"""Whatever is restarted while a clone is made: the task says what is true, and the clone ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clone_pipeline_tests.api.live import Live, serving
from clone_pipeline_tests.ui.dev import Project, wait_until

POINTS = 3000
# The embedded store is read by the thousand, so this is three pages and about ten seconds.
SLOWLY = {"max_points_per_second": 300}
COMPLETED = {"ready": "COMPLETED", "failed": ("FAILED", "CANCELED")}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.make(tmp_path_factory.mktemp("restarts") / "project")
    project.load_source(POINTS)
    return project


@pytest.fixture(scope="module")
def api_key(project: Project) -> str:
    key: str = project.cli("keys", "create", "--role", "admin")["api_key"]
    return key


@pytest.fixture
def live(project: Project, api_key: str) -> Iterator[Live]:
    with serving(project, api_key) as live:
        wait_until(live.is_ready, "Dagster")
        yield live


def check_end(live: Live, name: str, task_id: str) -> str:
    """The clone has ended, and task, namespace and what is in it agree."""
    end = live.wait_for_the_end(name)
    task = live.task(task_id)
    assert task["status"] in COMPLETED[end["clone_status"]], (end, task)
    if end["clone_status"] == "ready":
        assert end["cloned_resources"]["points"] == POINTS
        assert live.project.cli("verify", name)["good"]
    else:
        assert end["clone_error"] == task["error"]
        again = live.clone("prod", name, **SLOWLY)
        assert live.wait_for_the_end(name)["clone_status"] == "ready"
        assert live.task(again["task_id"])["status"] == "COMPLETED"
    return str(end["clone_status"])


@pytest.mark.parametrize("process", ["dagster_webserver", "dagster._daemon"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_webserver_or_the_daemon_is_restarted(
    process: str, how: signal.Signals, live: Live
) -> None:
    name = f"{process.strip('_').replace('.', '')}_{int(how)}"
    asked = live.clone("prod", name, **SLOWLY)
    live.wait_for_points(name)
    one = live.dagster(process)
    one.send_signal(how)
    wait_until(lambda: not one.is_running() or one.status() == "zombie", "its end")
    # The task can be read all the time, and says that the work goes on.
    assert live.task(asked["task_id"])["status"] in ("IN_PROGRESS", "COMPLETED")
    if process == "dagster_webserver":
        body = {"namespace_name": f"{name}_meanwhile"}
        answer = live.client.post("/v1/namespaces/prod/clone", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert live.client.get(f"/v1/namespaces/{name}_meanwhile").status_code == 404
    assert check_end(live, name, asked["task_id"]) == "ready"
    wait_until(live.is_ready, "Dagster to be back")
    # And what comes next is taken: the new one works.
    later = live.clone("prod", f"{name}_later", include_resources={"collections": False})
    assert check_next(live, f"{name}_later", later["task_id"])


def check_next(live: Live, name: str, task_id: str) -> bool:
    end = live.wait_for_the_end(name)
    return end["clone_status"] == "ready" and live.task(task_id)["status"] == "COMPLETED"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_serve_itself_is_restarted(how: signal.Signals, project: Project, api_key: str) -> None:
    name = f"serve_{int(how)}"
    with serving(project, api_key) as live:
        asked = live.clone("prod", name, **SLOWLY)
        live.wait_for_points(name)
        daemons = [one for one in live.family() if "dagster._daemon" in one.cmdline()]
        live.process.send_signal(how)
        live.process.wait(120)
        if how == signal.SIGKILL:
            # Nobody is left behind who would start runs; the run itself may come to its end.
            wait_until(lambda: not any(one.is_running() for one in daemons), "the daemon's end")
    with serving(project, api_key) as live:
        assert live.task(asked["task_id"])["status"] != "UNKNOWN"
        check_end(live, name, asked["task_id"])


def test_the_code_server_is_killed_with_its_runs(live: Live) -> None:
    """The worst: nobody is left to say that the run is over."""
    asked = live.clone("prod", "code_server", **SLOWLY)
    live.wait_for_points("code_server")
    server = live.dagster("code-server")
    for one in [*server.children(recursive=True), server]:
        one.kill()
    check_end(live, "code_server", asked["task_id"])


def test_the_api_alone_is_restarted(project: Project, api_key: str, live: Live) -> None:
    """Where Dagster is its own deployment, the API may come and go."""
    elsewhere = {"DAGSTER_WEBSERVER_URL": live.dagster_url}
    with serving(project, api_key, **elsewhere) as first:
        asked = first.clone("prod", "alone", **SLOWLY)
        first.wait_for_points("alone")
        first.process.kill()
        first.process.wait()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{first.url}/healthz", timeout=5)
    with serving(project, api_key, **elsewhere) as second:
        assert second.task(asked["task_id"])["status"] in ("IN_PROGRESS", "COMPLETED")
        assert check_end(second, "alone", asked["task_id"]) == "ready"


def test_a_running_task_is_cancelled_cleanly(live: Live) -> None:
    asked = live.clone("prod", "cancelled", **SLOWLY)
    live.wait_for_points("cancelled")
    answer = live.client.delete(f"/v1/tasks/{asked['task_id']}")
    assert answer.json()["success"] is True
    end = live.wait_for_the_end("cancelled")
    assert (end["clone_status"], "cancelled" in end["clone_error"]) == ("failed", True)
    assert live.task(asked["task_id"])["status"] == "CANCELED"
    assert live.client.delete("/v1/namespaces/cancelled").status_code == 200
    assert live.client.get("/v1/namespaces/cancelled").status_code == 404


def test_the_api_leaves_the_embedded_qdrant_to_the_runs(live: Live) -> None:
    """Another process may use it at any time, also right after the API was asked everything."""
    for path in ("", "/list"):
        live.client.request("POST" if path else "GET", f"/v1/namespaces{path}")
    live.client.post("/v1/namespaces/prod/clone/plan", json={"namespace_name": "planned"})
    copy = Path(live.project.folder) / "dumped"
    assert live.project.cli("dump", "prod", str(copy))["points"] == POINTS
