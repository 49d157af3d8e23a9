"""What a contributor works with: one test starts at once, `fast` is what it says, each door to the
checks runs the same."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from clone_pipeline_tests import selection, servers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
TASKS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["poe"]["tasks"]


# ---- one test --------------------------------------------------------------------------------


@pytest.mark.outside
def test_the_test_configuration_loads_no_driver() -> None:
    """Whoever runs one test waits for it."""
    look = "import clone_pipeline_tests.conftest, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pytest" in loaded
    assert not loaded & {"boto3", "botocore", "psycopg", "dagster", "qdrant_client", "mixpeek"}


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        (["clone_pipeline_tests"], False),
        (["clone_pipeline_tests/core", "clone_pipeline_tests/test_docs.py"], False),
        (["clone_pipeline_tests/test_kit.py::test_one"], True),
        (["a.py::test_one", "b.py::test_two[x]"], True),
        (["a.py::test_one", "b.py"], False),
    ],
)
def test_a_test_that_is_asked_for_by_name_waits_for_no_workers(
    arguments: list[str], here: bool
) -> None:
    workers = selection.pytest_xdist_auto_num_workers(SimpleNamespace(args=arguments))
    assert (workers == 0) is here
    assert workers <= selection.MOST_WORKERS


# ---- fast ------------------------------------------------------------------------------------


def test_a_fast_test_that_starts_a_process_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="needs the marker `outside`"):
        subprocess.run([sys.executable, "-c", ""], check=False)


def test_a_fast_test_that_starts_a_server_fails_and_is_not_skipped() -> None:
    with pytest.raises(pytest.fail.Exception, match="needs the marker `outside`"):
        with servers.postgres():
            pass


@pytest.mark.outside
def test_a_test_that_says_so_may_start_one() -> None:
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


def test_a_test_on_each_store_is_fast_where_it_needs_no_server(
    request: pytest.FixtureRequest, catalog_url: str
) -> None:
    fast = request.node.get_closest_marker("fast") is not None
    assert fast is catalog_url.startswith("sqlite")


# ---- what one test leaves to the next --------------------------------------------------------


@pytest.fixture(scope="class")
def afterwards() -> Iterator[None]:
    """Ends after the fixtures of a single test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) == before


class TestSignals:
    @pytest.mark.usefixtures("afterwards")
    def test_what_a_test_does_with_them_ends_with_it(self) -> None:
        """As a run of Dagster does in this process, where a shell had SIGINT ignored."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


# ---- the doors to the checks -----------------------------------------------------------------


def test_git_runs_what_the_task_check_runs() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"  # nothing is fetched
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in repo["hooks"]] == [
        step["cmd"] for step in TASKS["check"]["sequence"]
    ]


def test_ci_runs_the_tasks() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for task in TASKS["all"]["sequence"]:
        assert f"task {task}\n" in script


def test_the_page_for_contributors_names_what_there_is() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(page.split()) <= 900  # one page
    for path in re.findall(r"`([\w./]+/|[\w./]+/[\w.]+\.py)`", page):
        places = [ROOT, ROOT / "clone_pipeline", ROOT / "clone_pipeline_tests"]
        places.append(ROOT / "clone_pipeline" / "core")
        assert any((place / path).exists() for place in places), path
    for task in re.findall(r"bin/poe (\w+)`", page):
        assert task in TASKS
