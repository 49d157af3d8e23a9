"""What removes or replaces asks first, says what goes, and takes no for an answer."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import contents, prod
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.cli.test_processes import COMMAND
from clone_pipeline_tests.cli.test_sweep import LONG_AGO
from clone_pipeline_tests.sources import write_bundle

# Commands that ask, and what their questions say.
ASKING = {
    "delete": (["delete", "staging"], "Delete staging (ns_", ": 2 generations, 10 points?"),
    "rollback": (["rollback", "staging"], "Put generation 1 of staging", "hold the policies"),
    "sweep": (["sweep"], "it expired at 2020-01-01 00:00 UTC", "Remove 2 generations, 10 points?"),
    "revoke": (["keys", "revoke", "{key}"], "Revoke key_", "(read of org_acme)?"),
    "restore": (
        ["restore", "backup", "plain", "--if-exists", "replace", "--adopt"],
        "Replace plain (ns_plain00001, generation 1, 5 points)",
        "5 points)? It is not a clone of backup. A rollback brings it back.",
    ),
    "clone": (
        ["clone", "prod", "plain", "--if-exists", "replace", "--adopt"],
        "Replace plain (ns_plain00001, generation 1, 5 points)",
        "It is not a clone of prod.",
    ),
}


@pytest.fixture
def key(home: Path) -> str:
    """`staging` has a second generation and has expired; there are a backup and a key, whose id it
    is."""
    with harness.open_stores(home) as stores:
        harness.clone(stores, "prod", "backup", preserve_resource_ids=True)
        harness.clone(stores, "prod", "staging", if_exists="replace")
        with stores.catalog.write() as connection:
            mine = namespaces.c.namespace_name == "staging"
            connection.execute(update(namespaces).where(mine).values(expires_at=LONG_AGO))
    made = run("keys", "create", "--organization", "org_acme", "--role", "read", "--json")
    return str(made.json["key_id"])


@pytest.mark.parametrize(("arguments", "who", "what"), ASKING.values(), ids=ASKING.keys())
def test_no_is_an_answer_and_changes_nothing(
    arguments: list[str], who: str, what: str, home: Path, key: str
) -> None:
    before = contents(home)
    arguments = [part.format(key=key) for part in arguments]
    for flags in ([], ["--json"]):
        answer = run(*arguments, *flags, answers="n\n")
        assert answer.code == 0
        assert who in answer.stderr
        assert what in answer.stderr
        assert "Nothing was changed." in answer.stderr
        assert contents(home) == before
    assert answer.json == {"declined": True}


@pytest.mark.parametrize(("arguments", "who", "what"), ASKING.values(), ids=ASKING.keys())
def test_without_a_terminal_nothing_goes_unless_yes_was_said(
    arguments: list[str], who: str, what: str, home: Path, key: str
) -> None:
    before = contents(home)
    arguments = [part.format(key=key) for part in arguments]
    for flags in ([], ["--json"]):
        refused = run(*arguments, *flags)
        assert refused.code == 2
        assert "there is no terminal to ask at; say so with `--yes`" in refused.error
        # What would go is said as the question says it; a sweep's list is that of its dry run.
        assert arguments == ["sweep"] or (who in refused.error and what in refused.error)
        assert contents(home) == before
    assert run(*arguments, "--yes", "--json").code == 0
    assert contents(home) != before


def test_yes_is_an_answer_too(home: Path) -> None:
    assert run("delete", "staging", answers="y\n").code == 0
    assert run("show", "staging").code == 2


@pytest.mark.parametrize("typed", ["n", "y"])
def test_what_is_piped_in_is_no_answer(home: Path, typed: str) -> None:
    before = contents(home)
    command = [*COMMAND, "delete", "staging"]
    done = subprocess.run(command, input=f"{typed}\n", text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert "no terminal to ask at" in done.stderr
    assert contents(home) == before


@pytest.mark.usefixtures("home")
def test_a_real_terminal_is_asked() -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "delete", "staging"]
    asked = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, b"n\n")
    assert asked.wait(60) == 0
    os.close(ours)
    assert b"1 generation, 5 points" in seen
    assert run("show", "staging").code == 0


def test_the_last_proven_backup_needs_more_than_yes(home: Path) -> None:
    with harness.open_stores(home) as stores:
        for name in ("nightly_1", "nightly_2"):
            harness.clone(stores, "prod", name, policy="nightly", preserve_resource_ids=True)
    before = contents(home)
    refused = run("delete", "nightly_2", "--yes")
    assert refused.code == 2
    assert refused.error == (
        "'nightly_2' is the last proven backup of the policy 'nightly'; to delete it all the same, "
        "set `--last-backup`."
    )
    assert contents(home) == before
    asked = run("delete", "nightly_1", answers="y\n")
    assert "which was made for policy nightly: 1 generation, 5 points?" in asked.stderr
    assert run("delete", "nightly_2", "--last-backup").code == 2
    assert run("delete", "nightly_2", "--last-backup", "--yes").code == 0


# ---- what `load` made ------------------------------------------------------------------------


def test_what_was_loaded_can_be_deleted(home: Path) -> None:
    assert run("load", "again", answers="").code == 2
    write_bundle(home.parent / "new", prod("ns_new0000001", "new"))
    before = contents(home)
    assert run("load", "new").code == 0
    asked = run("delete", "new", "--loaded", answers="n\n")
    assert "new (ns_new0000001), which was loaded and is no clone: 1 generation" in asked.stderr
    assert run("delete", "new", "--loaded", "--yes").code == 0
    assert contents(home) == before
    assert run("load", "new").code == 0  # its Qdrant collection is gone too


def test_a_namespace_of_the_platform_is_never_deleted(home: Path) -> None:
    with harness.open_stores(home) as stores, stores.catalog.write() as connection:
        connection.execute(update(namespaces).values(loaded_at=None))
    before = contents(home)
    refused = run("delete", "plain", "--loaded", "--yes")
    assert refused.code == 2
    assert "'plain' was not made by clone-pipeline" in refused.error
    assert contents(home) == before


def test_a_collection_that_another_namespace_uses_is_not_deleted(home: Path) -> None:
    staging = run("show", "staging").json["infrastructure"]["qdrant_collection"]
    with harness.open_stores(home) as stores, stores.catalog.write() as connection:
        shared = {"infrastructure": {"qdrant_collection": staging}}
        mine = namespaces.c.namespace_name == "plain"
        connection.execute(update(namespaces).where(mine).values(document=shared))
    refused = run("delete", "staging", "--yes")
    assert refused.code == 2
    assert f"Another namespace uses the Qdrant collection {staging}" in refused.error


def test_load_never_advises_to_delete_what_it_did_not_make(home: Path) -> None:
    with harness.open_stores(home) as stores, stores.vectors() as vectors:
        vectors.create("theirs", prod()["qdrant.json"])
    files = prod("ns_new0000001", "new")
    files["namespace.json"]["infrastructure"]["qdrant_collection"] = "theirs"
    write_bundle(home.parent / "theirs", files)
    write_bundle(home.parent / "same", prod("ns_new0000001", "staging"))
    write_bundle(home.parent / "again", prod())
    for folder, words in (
        ("theirs", "name another one as"),
        ("same", "load the bundle with `--as`"),
    ):
        refused = run("load", folder)
        assert refused.code == 2
        assert words in refused.error
        assert "delete" not in refused.error
    assert "`clone-pipeline delete prod --loaded` removes that one" in run("load", "again").error
