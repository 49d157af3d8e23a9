"""A home with namespaces and clones in every state, made once and copied where a test writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clone_pipeline.core import ledger
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.core.bundle.samples import write_bundle


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`prod` and `plain`, loaded; `staging`, a clone of prod; `half`, a clone that failed on the
    way; `elsewhere` in another organization."""
    folder = tmp_path_factory.mktemp("made")
    home = folder / "home"
    home.mkdir()
    with harness.open_stores(home) as stores:
        for number, files in enumerate(
            (
                prod(),
                prod("ns_plain00001", "plain"),
                prod("ns_elsewhere1", "elsewhere", "org_other"),
            )
        ):
            harness.load(stores, write_bundle(folder / f"bundle{number}", files))
        harness.clone(stores, "prod", "staging")
        begun = harness.clone(stores, "prod", "half", until="clone_collections")
        ledger.fail(stores, begun.clone_id, str(begun.run_id), "The disk was full.")
    return home


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run history for all of them: a new one takes seconds to set up."""
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture
def home(
    made_home: Path, dagster_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it, which the command line uses."""
    copy = tmp_path / "home"
    shutil.copytree(made_home, copy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(copy))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    return copy
