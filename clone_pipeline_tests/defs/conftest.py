"""A home folder with namespaces in it, and a Dagster instance."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from clone_pipeline_tests.cli.conftest import (
    dagster_home,
    home,
    made_home,
    quick_dagster,
)

__all__ = ["dagster_home", "home", "made_home", "quick_dagster"]  # fixtures


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")


@pytest.fixture(autouse=True)
def of_no_instance() -> Iterator[None]:
    """A context for a tick remembers its instance for whatever is loaded after the test."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance
