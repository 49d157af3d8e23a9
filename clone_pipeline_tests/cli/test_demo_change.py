"""`demo --change`: what follows the demo namespace sees it, and nothing else is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from clone_pipeline.cli.demo import FOLDER
from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline.core.refresh.marks import catalog_mark
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import contents
from clone_pipeline_tests.cli.running import run

pytestmark = pytest.mark.outside

SOURCE = "cloud_api_docs"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied, not used."""
    folder = tmp_path_factory.mktemp("demo")
    with harness.holding(folder, FOLDER / "bundle") as stores:
        include = {"collections": False, "retrievers": True, "taxonomies": False}
        harness.clone(stores, SOURCE, "staging", include_resources=include)
    return folder


@pytest.fixture
def loaded(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(home))
    return home


def mark(home: Path) -> str:
    with harness.open_stores(home) as stores, stores.catalog.read() as connection:
        return catalog_mark(connection, namespaces.resolve(connection, None, SOURCE))


def test_a_change_of_the_demo_is_seen_and_is_one_field(loaded: Path) -> None:
    before, was = contents(loaded), mark(loaded)
    changed = run("demo", "--change", "--json").json
    assert mark(loaded) != was
    places = {
        (row["name"], row["field"]): row["first"]
        for row in run("diff", SOURCE, "staging", "--no-points", "--json").json["differences"]
        if row["kind"] == "retriever"
    }
    assert places == {("documentation_search", "description"): changed["description"]}
    after = contents(loaded)
    assert [table for table in before if before[table] != after[table]] == ["retrievers"]
    assert "has another description now" in run("demo", "--change").stdout


def test_a_clone_of_the_demo_is_changed_alone(loaded: Path) -> None:
    before, was = contents(loaded), mark(loaded)
    changed = run("demo", "--change", "staging", "--json").json
    assert changed["namespace_name"] == "staging"
    assert mark(loaded) == was
    [place] = [
        row
        for row in run("diff", SOURCE, "staging", "--no-points", "--json").json["differences"]
        if row["kind"] == "retriever"
    ]
    assert (place["field"], place["second"]) == ("description", changed["description"])
    after = contents(loaded)
    assert [table for table in before if before[table] != after[table]] == ["retrievers"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone", "There is no namespace 'gone'"),
        (SOURCE, "'cloud_api_docs' is no finished clone of the demo namespace."),
        ("bare", "'bare' has no retriever 'documentation_search' to change."),
    ],
)
def test_what_is_no_clone_of_the_demo_is_not_changed(
    name: str, sentence: str, loaded: Path
) -> None:
    if name == "bare":
        include = dict.fromkeys(("collections", "retrievers", "taxonomies"), False)
        with harness.open_stores(loaded) as stores:
            harness.clone(stores, SOURCE, name, include_resources=include)
    before = contents(loaded)
    refused = run("demo", "--change", name)
    assert refused.code == 2
    assert refused.error.startswith(sentence)
    assert contents(loaded) == before


def test_somebody_elses_namespace_is_not_changed(loaded: Path) -> None:
    with harness.open_stores(loaded) as stores, stores.catalog.write() as connection:
        connection.execute(update(schema.namespaces).values(loaded_at=None))
    before = contents(loaded)
    refused = run("demo", "--change")
    assert refused.code == 2
    assert refused.error == "The demo namespace is not here; `clone-pipeline demo` loads it."
    assert contents(loaded) == before
