"""What is not the caller's fault, and what the environment says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clone_pipeline.defs import outcome as step
from clone_pipeline_tests.cli.prod import contents
from clone_pipeline_tests.cli.running import run

UNREACHABLE = "127.0.0.1:1"  # a port that nobody may listen on without being root


@pytest.mark.parametrize(
    ("variable", "value", "words", "code"),
    [
        ("CLONE_EXECUTOR", "dask", "CLONE_EXECUTOR is not usable", 2),
        ("CATALOG_URL", "nonsense", "CATALOG_URL is not a database URL", 2),
        ("CATALOG_URL", "postgresql://h:port/db", "CATALOG_URL is not a database URL", 2),
        ("CATALOG_URL", "mysql://u@h/db", "PostgreSQL and SQLite are supported", 2),
        ("CATALOG_URL", f"postgresql://u:pw-4711@{UNREACHABLE}/db", "cannot be reached", 1),
        ("QDRANT_URL", "localhost:6333", "The Qdrant URL is not usable", 2),
        ("CATALOG_URL", "postgresql://a:b@c@127.0.0.1/d", "has several `@`", 2),
        ("QDRANT_URL", "http://h:port", "The Qdrant URL is not usable", 2),
        ("QDRANT_URL", "http://[::1", "The Qdrant URL is not usable", 2),
        ("QDRANT_URL", f"http://{UNREACHABLE}", "cannot be reached", 1),
    ],
)
def test_an_address_that_is_none_is_bad_input_and_one_that_is_silent_is_not(
    variable: str, value: str, words: str, code: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(home)
    monkeypatch.setenv(variable, value)
    answer = run("plan", "prod", "new", "--json")
    assert answer.code == code
    assert words in answer.error
    assert answer.json["error"]["message"] == answer.error
    assert "pw-4711" not in answer.error
    assert contents(home) == before


def test_a_key_of_qdrant_that_is_none_is_not_quoted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", f"http://{UNREACHABLE}")
    monkeypatch.setenv("QDRANT_API_KEY", "pw-4711\nX-Other: 1")
    answer = run("plan", "prod", "new")
    assert (answer.code, answer.error) == (
        2,
        "The API key for Qdrant has a character in it that no HTTP header can hold.",
    )


@pytest.mark.parametrize("folder", ["relative", "/nonexistent/folder"])
def test_a_dagster_home_that_is_none_is_named(
    folder: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", folder)
    answer = run("clone", "prod", "new")
    assert answer.code == 2
    assert answer.error.startswith(f"DAGSTER_HOME is {folder!r}")


def test_a_broken_dagster_yaml_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    (tmp_path / "dagster.yaml").write_text("storage: {nothing: 1}\n")
    answer = run("clone", "prod", "new")
    assert answer.code == 2
    assert answer.error.startswith("dagster.yaml is not usable")


def test_qdrant_that_stays_away_ends_the_run_with_exit_code_1(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", f"http://{UNREACHABLE}")
    monkeypatch.setattr(step, "LONGEST_WAIT", 0.01)
    answer = run("clone", "prod", "new", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "store_unavailable"
    assert answer.stderr.splitlines()[-1].startswith(f"Error: Qdrant at http://{UNREACHABLE}")


def test_a_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "file"))
    answer = run("list", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "storage_failed"
    assert answer.error


def test_a_namespace_that_cannot_be_read_is_told_in_the_list_and_hides_no_other(
    home: Path,
) -> None:
    with closing(sqlite3.connect(home / "catalog.db")) as catalog:
        catalog.execute("UPDATE namespaces SET document = '{' WHERE namespace_name = 'plain'")
        catalog.commit()
    answer = run("list")
    assert answer.code == 0
    assert "staging" in answer.stdout
    assert "plain cannot be read from the catalog: `document` is not valid JSON" in answer.stdout
    listed = {one["namespace_name"]: one["unreadable"] for one in run("list", "--json").json}
    assert [name for name, reason in listed.items() if reason] == ["plain"]
    shown = run("show", "plain")
    assert shown.code == 1
    assert shown.error.startswith("The namespace 'ns_plain00001' cannot be read")
    assert run("sweep", "--dry-run").code == 0
