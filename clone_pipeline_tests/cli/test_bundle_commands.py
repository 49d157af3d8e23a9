"""Bundles and keys on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS, prod
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.sources import one_of_each, write_bundle


def test_what_is_loaded_is_dumped(home: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "in", prod("ns_new0000001", "new"))
    loaded = run("load", "in", "--json")
    assert loaded.json["namespace_id"] == "ns_new0000001"
    assert {name: loaded.json[name] for name in COUNTS} == COUNTS == counted(home, "new")
    dumped = run("dump", "new", "out", "--json")
    assert {name: dumped.json[name] for name in COUNTS} == COUNTS
    assert run("dump", "new", "out").code == 2


SECRETIVE = {"stages": [{"config": {"parameters": {"headers": {"X-Team": "abc"}}}}]}


@pytest.mark.parametrize(("retriever", "told"), [(SECRETIVE, True), ({"stages": []}, False)])
def test_a_dump_says_how_many_secrets_it_holds(
    retriever: dict[str, Any], told: bool, home: Path, tmp_path: Path
) -> None:
    names = {"namespace_id": "ns_new0000001", "namespace_name": "new"}
    write_bundle(tmp_path / "in", one_of_each(namespace=names, retriever=retriever))
    assert run("load", "in").code == 0
    said = run("dump", "new", "out", "--json").stderr
    assert ("The bundle holds 1 secret in plain text" in said) is told


def test_a_plan_counts_the_secrets_that_go_and_that_do_not(home: Path, tmp_path: Path) -> None:
    names = {"namespace_id": "ns_new0000001", "namespace_name": "new"}
    write_bundle(tmp_path / "in", one_of_each(namespace=names, retriever=SECRETIVE))
    assert run("load", "in").code == 0
    assert "Secrets: 1 copied, 0 cleared" in run("plan", "new", "copy").stdout
    abroad = run("plan", "new", "copy", "--organization-id", "org_other").stdout
    assert "Secrets: 0 copied, 1 cleared" in abroad
    assert "Secrets:" not in run("plan", "plain", "copy").stdout


def test_the_secrets_of_a_qdrant_collection_are_never_shown(home: Path, tmp_path: Path) -> None:
    """Its `metadata` is free-form; an index on a field called `token` is none."""
    files = one_of_each(namespace={"namespace_id": "ns_new0000001", "namespace_name": "new"})
    schema = {"token": {"data_type": "keyword"}}
    metadata = {"api_key": "qd-abc", "team": "search"}
    files["qdrant.json"] = {**files["qdrant.json"], "payload_schema": schema, "metadata": metadata}
    write_bundle(tmp_path / "in", files)
    assert run("load", "in").code == 0
    planned = run("plan", "new", "copy", "--json")
    assert planned.json["qdrant_config"]["metadata"] == {"team": "search"}
    assert planned.json["qdrant_config"]["payload_schema"]["token"]
    assert run("clone", "new", "copy", "--yes").code == 0
    for command in (("diff", "new", "plain", "--json"), ("diff", "new", "copy"), ("show", "copy")):
        assert "qd-abc" not in run(*command).stdout
    assert "qd-abc" not in planned.stdout
    assert "The bundle holds 1 secret in plain text" in run("dump", "copy", "out").stderr


def test_a_key_is_shown_once(home: Path) -> None:
    made = run("keys", "create", "--organization", "org_acme", "--role", "read", "--json").json
    listed = run("keys", "list", "--json")
    assert [row["key_id"] for row in listed.json] == [made["key_id"]]
    assert made["api_key"] not in listed.stdout
    assert run("keys", "revoke", made["key_id"], "--yes", "--json").json == {
        "key_id": made["key_id"],
        "revoked": True,
    }
    assert made["key_id"] in run("keys", "list").stdout
