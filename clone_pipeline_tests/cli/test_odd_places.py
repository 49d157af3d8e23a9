"""Homes, working directories, variables and S3 keys of a kind that nobody thinks of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.sources import write_bundle

pytestmark = pytest.mark.outside

ODD = ["a b", "a%20b", "a%2Fb", "a%", "a?b", "a?b=c&d", "a#b", "ü 日本", "a'b\"c", "a:b@c", "a+b;c"]
# Dagster's own SQLite storage cannot be in such a folder.
NOT_FOR_DAGSTER = {"a%20b", "a%2Fb", "a?b", "a?b=c&d"}


def names() -> list[str]:
    answer = run("list", "--json")
    assert answer.code == 0, answer.stderr
    return [one["namespace_name"] for one in answer.json]


@pytest.mark.parametrize("relative", [True, False], ids=["working directory", "home"])
@pytest.mark.parametrize("name", ODD)
def test_a_home_is_where_it_is_said_to_be_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, relative: bool
) -> None:
    bundle = write_bundle(tmp_path / "bundle", sample())
    dagster = tmp_path / "dagster"
    dagster.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(dagster))
    homes = [tmp_path / name / "one", tmp_path / name.swapcase() / "two", tmp_path / "a"]
    for home in homes:
        home.mkdir(parents=True)
        if relative:
            monkeypatch.chdir(home)
        else:
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("CLONE_PIPELINE_HOME", str(home / ".clone_pipeline"))
        assert names() == []
        assert run("load", str(bundle)).code == 0
        assert names() == ["prod"]
        assert (home / ".clone_pipeline" / "catalog.db").is_file()
    assert run("clone", "prod", "copy").code == 0
    assert names() == ["copy", "prod"]
    there = {path for path in tmp_path.iterdir() if path != dagster}
    assert there == {bundle, *(home if home.parent == tmp_path else home.parent for home in homes)}


@pytest.mark.parametrize("name", ODD)
def test_where_dagster_cannot_keep_its_record_it_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / name
    home.mkdir()
    monkeypatch.chdir(home)
    assert run("load", str(write_bundle(tmp_path / "bundle", sample()))).code == 0
    answer = run("clone", "prod", "copy")
    if name not in NOT_FOR_DAGSTER:
        assert answer.code == 0, answer.stderr
        return
    assert answer.code == 2
    assert "DAGSTER_HOME" in answer.error
    assert names() == ["prod"]
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", name}


def test_a_home_whose_name_is_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    answer = run("list")
    assert answer.code == 2
    assert answer.error.startswith("Environment variable CLONE_PIPELINE_HOME is not usable")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CATALOG_URL", " ", "CATALOG_URL is not a database URL"),
        ("CATALOG_URL", "postgresql+psycopg2://u:sesame@h/x", "driver psycopg2"),
        ("CATALOG_URL", "redis://sesame@h/0", "names redis"),
        ("QDRANT_GRPC_PORT", "6334.5", "QDRANT_GRPC_PORT is not usable"),
        ("QDRANT_GRPC_PORT", "0", "QDRANT_GRPC_PORT is not usable"),
        ("CLONE_EXECUTOR", "dask", "CLONE_EXECUTOR is not usable"),
        ("DAGSTER_WEBSERVER_URL", "localhost:3000", "DAGSTER_WEBSERVER_URL is not usable"),
        ("CLONE_API_REQUESTS_PER_MINUTE", "many", "CLONE_API_REQUESTS_PER_MINUTE is not usable"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    answer = run("list")
    assert answer.code == 2
    assert words in answer.error
    assert "sesame" not in answer.error
    assert list(tmp_path.iterdir()) == []


def test_blanks_around_a_variable_and_a_tilde_mean_what_they_mean_in_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("CLONE_PIPELINE_HOME", "~/data")
    monkeypatch.setenv("CLONE_EXECUTOR", " in_process\n")
    assert names() == []
    assert (tmp_path / "me" / "data" / "catalog.db").is_file()
    key = run("keys", "create", "--organization", "org_a", "--role", "admin", "--json").json
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", f"{key['api_key']}\n")
    monkeypatch.setenv("CATALOG_URL", f" sqlite:///{tmp_path}/me/data/catalog.db\n")
    assert names() == []


def test_a_file_whose_key_is_no_text_is_missing_and_the_clone_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    half = f"s3://{s3.bucket}/210514 Mail acceptaci\udcc3\udcb3.pdf"
    files = sample()
    files["objects.jsonl"] = [
        {"object_id": f"o{number}", "bucket_id": "bkt_a", "blobs": [{"properties": {"url": url}}]}
        for number, url in enumerate((half, s3.put("here"), half))
    ]
    assert run("load", str(write_bundle(tmp_path / "bundle", files))).code == 0
    answer = run("clone", "prod", "copy", "--verify-objects", "all")
    assert answer.code == 0, answer.stderr
    assert "2 of 3 S3 files do not exist" in answer.stdout
    assert run("verify", "prod", "copy").code == 0
