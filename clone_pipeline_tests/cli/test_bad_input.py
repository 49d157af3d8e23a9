"""Bad input: one sentence on stderr, exit code 2, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clone_pipeline_tests.cli.prod import contents, prod
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.sources import write_bundle

# Arguments, and words of the sentence.
CASES: dict[str, tuple[list[str], str]] = {
    "no command": ([], "Missing command"),
    "no subcommand": (["keys"], "Missing command"),
    "unknown command": (["clon"], "No such command 'clon'"),
    "unknown option": (["clone", "prod", "new", "--taxonomy"], "No such option '--taxonomy'"),
    "missing argument": (["clone", "prod"], "Missing argument 'NAME'"),
    "one argument too many": (["plan", "prod", "new", "more"], "unexpected extra argument"),
    "unknown source": (["clone", "nothing", "new"], "There is no namespace 'nothing' to clone"),
    "source that is not text": (["clone", "\udcff", "new"], "`SOURCE` is not usable"),
    "the source's own name": (["clone", "prod", "prod"], "Source and target are the same"),
    "the source's own id": (["clone", "prod", "ns_prod000001"], "Source and target are the same"),
    "source by id, target by name": (["clone", "ns_prod000001", "prod"], "are the same namespace"),
    "empty source": (["clone", "", "new"], "`SOURCE` is not usable"),
    "empty name": (["clone", "prod", ""], "`NAME` is not usable"),
    "name of 65 characters": (["clone", "prod", "n" * 65], "at most 64 characters"),
    "blank name": (["clone", "prod", "  "], "must not begin or end with a space"),
    "name with a line break": (["clone", "prod", "a\nb"], "control characters"),
    "taken name": (["clone", "prod", "plain"], "replace it with `--if-exists replace`."),
    "id of another namespace": (["clone", "prod", "ns_plain00001"], "is the id of a namespace"),
    "id in another organization": (["clone", "prod", "ns_elsewhere1"], "is the id of a namespace"),
    "text for a number": (["clone", "prod", "new", "--ttl-seconds", "abc"], "not a valid integer"),
    "ttl below the bound": (["clone", "prod", "new", "--ttl-seconds", "5"], "equal to 60 (got 5)"),
    "no slices": (
        ["plan", "prod", "new", "--concurrent-slices", "0"],
        "`--concurrent-slices` is not",
    ),
    "65 slices": (["plan", "prod", "new", "--concurrent-slices", "65"], "equal to 64 (got 65)"),
    "no pace": (
        ["plan", "prod", "new", "--max-points-per-second", "0"],
        "`--max-points-per-second`",
    ),
    "branch": (["clone", "prod", "new", "--mode", "branch"], "copy-on-write) is not available"),
    "native lane, embedded": (["plan", "prod", "new", "--lane", "native"], "needs a Qdrant server"),
    "unknown lane": (["plan", "prod", "new", "--lane", "fast"], "'fast' is not one of"),
    "unknown verify": (["plan", "prod", "new", "--verify", "no"], "'no' is not one of"),
    "unknown organization": (
        ["clone", "prod", "new", "--organization-id", "org_none"],
        "There is no organization 'org_none'",
    ),
    "source in an unknown organization": (
        ["clone", "prod", "new", "--source-organization-id", "org_none"],
        "There is no namespace 'prod' to clone",
    ),
    "source in the other organization": (
        ["clone", "prod", "new", "--source-organization-id", "org_other"],
        "There is no namespace 'prod' to clone",
    ),
    "replace what is no clone": (
        ["clone", "prod", "plain", "--if-exists", "replace"],
        "'plain' was not made by clone-pipeline",
    ),
    "replace a clone of another source": (
        ["clone", "plain", "staging", "--if-exists", "replace"],
        "not a clone of ns_plain00001; to replace it all the same, set `--adopt`.",
    ),
    "replace the source": (
        ["clone", "prod", "prod", "--if-exists", "replace", "--adopt"],
        "Source and target are the same",
    ),
    "source that is not finished": (["clone", "half", "new"], "is a clone that is not ready"),
    "dangling references": (
        ["plan", "prod", "new", "--on-dangling", "fail"],
        "`--on-dangling fail`, and 2 references would not resolve",
    ),
    "bundle that does not exist": (["load", "nowhere"], "nowhere: cannot be read"),
    "bundle of a namespace that exists": (["load", "again"], "ns_prod000001"),
    "bundle with bad JSON": (["load", "bad_json"], "buckets.jsonl, line 1"),
    "bundle with a vector of the wrong size": (["load", "bad_vector"], "points.jsonl, line 1"),
    "bundle with a missing file": (["load", "no_config"], "qdrant.json"),
    "bundle with a duplicate id": (["load", "twice"], "retrievers.jsonl, line 2"),
    "bundle with an unknown bucket": (["load", "lost"], "objects.jsonl, line 1"),
    "dump of nothing": (["dump", "nothing", "out"], "There is no namespace 'nothing'"),
    "dump into a full folder": (["dump", "prod", "again"], "is not an empty folder"),
    "show nothing": (["show", "nothing"], "There is no namespace 'nothing'"),
    "show what is not text": (["show", "\udcff"], "There is no namespace"),
    "verify nothing": (["verify", "nothing"], "There is no namespace 'nothing'"),
    "verify what is no clone": (["verify", "prod"], "'prod' is not a clone"),
    "verify what is not finished": (["verify", "half"], "'half' is not published"),
    "verify with the wrong source": (
        ["verify", "plain", "staging"],
        "is a clone of 'prod', not of 'plain'",
    ),
    "verify with no source": (["verify", "nothing", "staging"], "There is no namespace 'nothing'"),
    "verify with three names": (["verify", "prod", "staging", "half"], "Give a clone"),
    "delete nothing": (["delete", "nothing"], "There is no namespace 'nothing'"),
    "delete what was loaded": (["delete", "plain", "--yes"], "`--loaded` deletes it all the same"),
    "delete without an answer": (["delete", "staging"], "there is no terminal to ask at"),
    "sweep without an answer": (["sweep"], "say so with `--yes`"),
    "adopt without an answer": (
        ["clone", "prod", "plain", "--if-exists", "replace", "--adopt"],
        "there is no terminal to ask at",
    ),
    "rollback nothing": (["rollback", "nothing"], "There is no namespace 'nothing'"),
    "rollback to nothing": (["rollback", "staging"], "has no previous generation"),
    "resume nothing": (["resume", "nothing"], "There is no namespace 'nothing'"),
    "restore what is no backup": (
        ["restore", "prod", "new"],
        "'prod' was not made by clone-pipeline; clone it, without restore",
    ),
    "restore nothing": (["restore", "nothing", "new"], "There is no namespace 'nothing'"),
    "restore without its ids": (
        ["clone", "staging", "new", "--restore"],
        "`--restore` keeps all ids; set `--preserve-resource-ids` with it",
    ),
    "resume what is no clone": (["resume", "plain"], "'plain' is not a clone"),
    "revoke an unknown key": (["keys", "revoke", "key_none"], "no API key with the id key_none"),
    "unknown role": (["keys", "create", "--role", "owner"], "'owner' is not one of"),
    "no role": (["keys", "create"], "Missing option '--role'"),
    "key for one of two organizations": (["keys", "create", "--role", "read"], "choose with"),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles that `load` refuses."""
    folder = tmp_path_factory.mktemp("bundles")
    files = prod("ns_new0000001", "new")
    retriever = files["retrievers.jsonl"][0]
    broken = {
        "again": prod(),
        "bad_json": files | {"buckets.jsonl": '{"bucket_id": \n'},
        "bad_vector": files | {"points.jsonl": [{"id": 1, "vector": {"text": [1]}, "payload": {}}]},
        "no_config": files | {"qdrant.json": None},
        "twice": files | {"retrievers.jsonl": [retriever, retriever]},
        "lost": files | {"objects.jsonl": [{"object_id": "o", "bucket_id": "bkt_none"}]},
    }
    for name, content in broken.items():
        write_bundle(folder / name, content)
    return folder


@pytest.fixture(scope="module")
def untouched(made_home: Path) -> object:
    return contents(made_home)


@pytest.mark.parametrize(("arguments", "words"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_one_sentence_and_nothing_is_written(
    arguments: list[str],
    words: str,
    made_home: Path,
    untouched: object,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One home for all of them: that it can be shared is what is tested.
    monkeypatch.chdir(bundles)
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(made_home))
    before = sorted(made_home.iterdir())
    plain = run(*arguments)
    assert plain.code == 2
    assert plain.stdout == ""
    assert words in plain.error
    assert _is_one_sentence(plain.error), plain.error
    if arguments not in ([], ["keys"]):
        as_json = run(*arguments, "--json")
        assert as_json.code == 2
        message = as_json.json["error"]["message"].encode("utf-8", "backslashreplace").decode()
        assert message == as_json.error == plain.error
        assert as_json.json["error"]["code"]
    assert contents(made_home) == untouched
    # No run was started, and none left its history.
    assert sorted(made_home.iterdir()) == before


def _is_one_sentence(text: str) -> bool:
    """Ends as a sentence, and no name of an exception stands in it."""
    return bool(re.search(r"[.?]$", text)) and not re.search(r"Error\b|Exception|Unexpected", text)


def test_all_dangling_references_are_listed(home: Path) -> None:
    answer = run("plan", "prod", "new", "--on-dangling", "fail", "--json")
    assert "tax_kinds000001" in answer.error
    assert "clust_abcdefgh" in answer.error


def test_settings_that_act_are_no_dangling_references(home: Path) -> None:
    # The bucket's webhook secret never comes over, whatever else is cloned.
    files = prod("ns_acts000001", "acts")
    files["collections.jsonl"] = [
        {key: value for key, value in one.items() if not key.endswith("_applications")}
        for one in files["collections.jsonl"]
    ]
    write_bundle(home.parent / "acts", files)
    assert run("load", "acts").code == 0
    answer = run("plan", "acts", "new", "--on-dangling", "fail", "--json")
    assert answer.code == 0
    assert answer.json["reference_counts"]["cleared"] == 1


def test_help_is_good_for_every_command() -> None:
    commands = re.findall(r"^  (\w+) ", run("-h").stdout.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) >= {"demo", "load", "dump", "plan", "clone", "resume", "list", "show"}
    for command in commands:
        answer = run(command, "-h")
        assert (answer.code, answer.stderr) == (0, "")
        assert answer.stdout.startswith(f"Usage: clone-pipeline {command}")
