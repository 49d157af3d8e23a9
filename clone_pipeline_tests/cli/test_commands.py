"""What the commands print and do: one JSON document on stdout, everything else on stderr."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

from clone_pipeline.core import steps
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import StorageFailed
from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS, SECRET, WEBHOOK_SECRET, contents, prod
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.sources import write_bundle

# ---- clone, resume, replace ------------------------------------------------------------------


def test_a_clone_is_answered_with_what_is_in_it(home: Path) -> None:
    answer = run("clone", "prod", "new", "--taxonomies", "--json")
    assert answer.code == 0
    response = answer.json
    assert set(response) >= {"namespace", "source_namespace_id", "status", "cloned_resources"}
    assert response["status"] == "ready"
    assert response["source_namespace_id"] == "ns_prod000001"
    assert response["namespace"]["namespace_name"] == "new"
    assert response["cloned_resources"] == COUNTS == counted(home, "new")
    # Progress is for a person, so it is told beside the answer.
    assert "clone_buckets: 2 buckets, 3 objects" in answer.stderr
    assert run("show", "new", "--json").json == response["namespace"]


def test_what_the_run_refuses_is_bad_input_too(home: Path) -> None:
    before = contents(home)
    answer = run("clone", "prod", "new", "--on-dangling", "fail", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "dangling_references"
    # The run itself speaks the Launchpad's words.
    assert answer.error.startswith("`--on-dangling fail`, and 2 references would not resolve")
    assert contents(home) == before


def test_a_failed_clone_is_resumed(home: Path) -> None:
    answer = run("resume", "half", "--json")
    assert answer.code == 0
    assert answer.json["status"] == "ready"
    assert counted(home, "half") == {**COUNTS, "taxonomies": 0}
    again = run("resume", "half", "--json")
    assert (again.code, again.json) == (0, answer.json)


def test_a_backup_is_restored_and_says_what_is_missing(home: Path) -> None:
    backup = ("clone", "prod", "backup", "--taxonomies", "--preserve-resource-ids")
    assert run(*backup, "--json").code == 0
    answer = run("restore", "backup", "again", "--json")
    assert answer.code == 0
    assert answer.json["status"] == "ready"
    assert answer.json["cloned_resources"] == COUNTS == counted(home, "again")
    wanted = (
        "To be set by hand in the restored namespace: "
        "source_adapter.webhook_secret of bucket bkt_texts001"
    )
    assert wanted in answer.stderr
    assert WEBHOOK_SECRET not in answer.stderr + answer.stdout
    assert run("verify", "backup", "again").code == 0
    careful = ("--verify-objects", "none", "--lane", "stream", "--max-points-per-second", "1000")
    refused = run("restore", "backup", "careful", "--on-dangling", "fail", *careful)
    assert refused.error.startswith("`--on-dangling fail`, and ")
    assert run("restore", "backup", "careful", *careful, "--json").json["status"] == "ready"
    # A person reads it once, among the warnings.
    shown = run("restore", "backup", "once more")
    assert shown.stdout.count("To be set by hand") == 1
    assert ", restored from ns_" in shown.stdout.splitlines()[0]


@pytest.mark.usefixtures("home")
def test_when_a_clone_expires_is_listed_and_shown() -> None:
    assert run("clone", "prod", "new", "--ttl-seconds", "3600").code == 0
    [listed] = [row for row in run("list", "--json").json if row["namespace_name"] == "new"]
    moment = listed["expires_at"]
    assert moment == run("show", "new").json["expires_at"]
    assert f"expires at {moment[:16].replace('T', ' ')} UTC" in run("list").stdout
    assert run("list").stdout.count("expires at") == 1


def test_a_replaced_clone_is_shown_and_brought_back(home: Path) -> None:
    before = run("show", "staging", "--json").json
    assert run("clone", "prod", "staging", "--if-exists", "replace", "--json").code == 0
    now = run("show", "staging", "--json").json
    assert now["namespace_id"] == before["namespace_id"]
    collection = now["infrastructure"]["qdrant_collection"]
    assert collection != before["infrastructure"]["qdrant_collection"]
    [listed] = [row for row in run("list", "--json").json if row["namespace_name"] == "staging"]
    assert listed["generation"] == 2
    held = {"namespace_id": now["namespace_id"], "generation": 1, "refreshes_held": True}
    assert run("rollback", "staging", "--yes", "--json").json == held
    assert run("show", "staging", "--json").json["clone_task_id"] == before["clone_task_id"]
    assert "rolled back, refreshes held" in run("list").stdout
    resumed = {"namespace_id": now["namespace_id"], "refreshes_resumed": True}
    assert run("resume", "staging", "--json").json == resumed
    assert "there is nothing to resume" in run("resume", "staging").stderr
    assert "rolled back" not in run("list").stdout
    again = run("rollback", "staging", "--yes")
    assert again.code == 2
    assert "Kept are: 2; `--to` brings one of them back." in again.error
    told = run("rollback", "staging", "--yes", "--to", "2").stdout
    assert told == "staging is generation 2 again.\n"
    told = run("rollback", "staging", "--yes").stdout
    assert "are held until `clone-pipeline resume staging`" in told
    assert "Policies that refresh staging go on" in run("resume", "staging").stdout
    assert run("delete", "staging", "--yes", "--json").json["generations_deleted"] == 2
    assert run("show", "staging").code == 2


# ---- plan ------------------------------------------------------------------------------------


def test_a_plan_writes_nothing_and_is_the_same_twice(home: Path) -> None:
    before, names = contents(home), sorted(path.name for path in home.iterdir())
    first = run("plan", "prod", "new", "--taxonomies", "--json")
    assert first.code == 0
    assert run("plan", "prod", "new", "--taxonomies", "--json").stdout == first.stdout
    assert run("plan", "prod", "new").code == 0
    assert run("plan", "prod", "staging", "--if-exists", "replace").code == 0
    assert contents(home) == before
    assert sorted(path.name for path in home.iterdir()) == names


def test_a_plan_says_what_will_happen(home: Path) -> None:
    plan = run("plan", "prod", "new", "--json").json
    assert plan["counts"] == {**COUNTS, "taxonomies": 0}
    assert plan["lane"] == "stream"
    ids = {item["source_id"]: item["target_id"] for item in plan["id_map"]}
    assert set(ids) == {
        "ns_prod000001",
        "bkt_videos01",
        "bkt_texts001",
        "col_scenes0001",
        "col_lines00001",
        "ret_search00000001",
    }
    assert not set(ids) & set(ids.values())
    outcomes = {(one["path"], one["outcome"]) for one in plan["references"]}
    assert ("taxonomy_applications[0].taxonomy_id", "cleared") in outcomes
    assert ("collection_ids[0]", "rewritten") in outcomes
    assert plan["reference_counts"]["mentioned"] == 1
    text = " ".join(plan["warnings"])
    assert "2 configuration references point outside the clone and are cleared." in text
    assert "1 setting acts or belongs to the source alone, and is cleared." in text
    assert "1 id of the source stands in free text" in text
    assert "refers to the source's S3 files" in text
    # What is planned is what is made.
    made = run("clone", "prod", "new", "--json").json
    assert made["namespace"]["namespace_id"] == ids["ns_prod000001"]
    assert made["primary_retriever_id"] == ids["ret_search00000001"]


def test_a_plan_names_the_collections_whose_vectors_are_elsewhere(home: Path) -> None:
    files = prod("ns_cold000001", "frozen")
    files["collections.jsonl"][0]["lifecycle_state"] = "cold"
    write_bundle(home.parent / "frozen", files)
    assert run("load", "frozen").code == 0
    warnings = run("plan", "frozen", "new", "--json").json["warnings"]
    assert any("cold or archived" in text and text.endswith(": scenes.") for text in warnings)
    refused = run("plan", "frozen", "new", "--on-dangling", "fail")
    assert "collection scenes is cold or archived" in refused.error


def test_a_plan_to_replace_says_what_will_be_gone(home: Path) -> None:
    assert run("clone", "prod", "full", "--taxonomies").code == 0
    plan = run("plan", "prod", "full", "--no-retrievers", "--if-exists", "replace", "--json").json
    assert plan["target"]["replaces_generation"] == 1
    assert plan["target"]["not_in_the_source"] == {
        "retrievers": ["search"],
        "taxonomies": ["kinds"],
    }


# ---- looking ---------------------------------------------------------------------------------


def test_show_is_a_namespace_model_without_secrets(home: Path) -> None:
    files = prod("ns_keyed00001", "keyed")
    files["namespace.json"]["infrastructure"]["qdrant_api_key"] = SECRET
    write_bundle(home.parent / "keyed", files)
    assert run("load", "keyed").code == 0
    assert run("clone", "keyed", "copy").code == 0
    for name in ("keyed", "copy"):
        answer = run("show", name)
        assert answer.code == 0
        shown = answer.json
        assert shown["namespace_ready"] is True
        assert 1 <= len(shown["namespace_name"]) <= 64
        assert [shown[f"{what}_count"] for what in ("bucket", "collection", "object")] == [2, 2, 3]
        assert shown["document_count"] == 5
        assert SECRET not in answer.stdout
        assert shown["infrastructure"].get("qdrant_api_key") is None


def test_list_tells_the_state_of_every_clone(home: Path) -> None:
    rows = {row["namespace_name"]: row for row in run("list", "--json").json}
    assert set(rows) == {"prod", "plain", "elsewhere", "staging", "half"}
    assert rows["prod"]["clone_status"] is None
    assert rows["staging"]["clone_status"] == "ready"
    assert rows["staging"]["source_namespace_id"] == "ns_prod000001"
    assert rows["staging"]["points"] == 5
    assert rows["half"]["clone_status"] == "failed"
    assert rows["half"]["clone_error"] == "The disk was full."
    assert "half: The disk was full." in run("list").stdout


def test_list_tells_of_a_replacement_that_failed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_work: object) -> None:
        raise StorageFailed("The disk is full.")

    monkeypatch.setitem(steps._FUNCTIONS, "clone_buckets", full)
    assert run("clone", "prod", "staging", "--if-exists", "replace").code == 1
    rows = {row["namespace_name"]: row for row in run("list", "--json").json}
    assert rows["staging"]["clone_status"] == "ready"
    assert rows["staging"]["replacement_status"] == "failed"
    assert "ready, proven, replacement failed" in run("list").stdout
    assert "staging: The disk is full." in run("list").stdout


def test_verify_proves_and_finds_out(home: Path) -> None:
    assert run("verify", "staging", "--json").json["good"] is True
    assert run("verify", "prod", "staging", "--json").json["equal_to_source"] is True
    assert run("verify", "ns_prod000001", "staging").code == 0
    _spoil(home)
    answer = run("verify", "prod", "staging", "--json")
    assert answer.code == 1
    assert answer.json["good"] is False
    assert answer.json["changed_parts"]
    plain = run("verify", "staging")
    assert plain.code == 1
    assert "is not what was published" in plain.stdout


def _spoil(home: Path) -> None:
    """Somebody empties the clone's retriever."""
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    with catalog.write() as connection:
        live = schema.namespaces.c
        staging = select(live.namespace_key).where(live.namespace_name == "staging")
        mine = schema.retrievers.c.namespace_key.in_(staging)
        connection.execute(update(schema.retrievers).where(mine).values(document={}))
    catalog.close()
