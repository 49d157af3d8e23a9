"""What is missing on a worker, or on whoever hands runs to workers, is said in one sentence."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.errors import CloneError, InvalidRequest, StoreUnavailable
from clone_pipeline.launch import open_instance
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.workers.cluster import write_instance

pytest.importorskip("dagster_celery", reason="the extra `celery` is not installed")
pytestmark = pytest.mark.outside

PASSWORD = "hunter2-canary"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of an instance as it is shipped, whose servers are away."""
    write_instance(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("CELERY_BROKER_URL", f"redis://:{PASSWORD}@127.0.0.1:1/0")
    monkeypatch.setenv("DAGSTER_STORAGE_URL", f"postgresql+psycopg2://a:{PASSWORD}@127.0.0.1:1/b")
    return tmp_path


def of_one_machine(folder: Path) -> None:
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")


def opened() -> str:
    """What it says instead."""
    with pytest.raises(CloneError) as refused, open_instance(load_settings()):
        pass
    assert PASSWORD not in refused.value.message
    return refused.value.message


def test_a_variable_that_is_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_STORAGE_URL")
    assert opened() == (
        f"{folder}/dagster.yaml is not usable: it takes a value from the environment variable "
        "DAGSTER_STORAGE_URL, which is not set."
    )


def test_a_package_that_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)
    assert opened() == (
        f"{folder}/dagster.yaml needs the package dagster_postgres, which is not installed here: "
        "pip install 'clone-pipeline[postgres]'."
    )


def test_a_record_of_runs_that_cannot_be_reached(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)
    with pytest.raises(StoreUnavailable):
        open_instance(load_settings())
    assert "cannot be reached" in opened()


def test_the_launcher_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clone_pipeline.workers", raising=False)
    monkeypatch.delitem(sys.modules, "clone_pipeline.workers.launcher", raising=False)
    monkeypatch.setitem(sys.modules, "dagster_celery.launcher", None)
    with pytest.raises(InvalidRequest, match=r"needs the extra `celery`.*clone-pipeline\[celery\]"):
        importlib.import_module("clone_pipeline.workers")


def test_a_worker_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert loaded().startswith("Error: DAGSTER_HOME is not set")


def test_a_worker_whose_instance_has_another_launcher(folder: Path) -> None:
    of_one_machine(folder)
    assert "DefaultRunLauncher for `run_launcher`; it must be CeleryLauncher" in loaded()


def loaded() -> str:
    """What a worker ends with that loads the app."""
    sys.modules.pop("clone_pipeline.workers.app", None)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("clone_pipeline.workers.app")
    return str(ended.value)


def test_a_password_of_the_broker_is_not_told() -> None:
    from clone_pipeline.workers import CeleryLauncher

    launcher = CeleryLauncher(broker=f"amqp://somebody:{PASSWORD}@127.0.0.1:1//")
    with dg.instance_for_test() as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(_empty)
        assert PASSWORD not in str(launcher.get_run_worker_debug_info(run))


def test_no_password_of_several_brokers_is_told() -> None:
    from clone_pipeline.workers import CeleryLauncher

    urls = [f"amqp://user:{PASSWORD}{number}@host{number}:5672//" for number in range(3)]
    told = CeleryLauncher(broker=";".join(urls)).address
    assert PASSWORD not in told
    assert all(f"host{number}" in told for number in range(3))


@dg.job
def _empty() -> None:
    pass
