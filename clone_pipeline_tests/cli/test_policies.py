"""A policies file checked before it is deployed, and a policy that is run now."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.generations.holdings import Holdings
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.notify.receiver import receiving

FILE = """\
backups:
  - {name: nightly, source: prod, cron: "0 2 * * *", name_template: "{source}_{date}_{time}"}
refreshes:
  - {name: follow, source: prod, target: staging, on_change: {}}
"""


@pytest.fixture
def file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = home / "policies.yaml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("CLONE_POLICIES", str(path))
    return path


def test_a_file_in_order_is_said_to_be_and_what_is_in_it(file: Path) -> None:
    said = run("policies", "check", str(file))
    assert said.code == 0
    assert "is in order: 1 backup, 1 refresh." in said.stdout
    found = run("policies", "check", str(file), "--json").json
    assert found["problems"] == []
    assert [one["makes"] for one in found["policies"]] == ["prod_{date}_{time}", "staging"]


def test_what_is_wrong_with_a_file_is_said_with_its_line_and_fails(file: Path) -> None:
    file.write_text(FILE + "  - {name: third, source: prod}\n", encoding="utf-8")
    said = run("policies", "check", str(file))
    assert said.code == 2
    assert "policies.yaml, line 5: " in said.stdout.replace("\n", " ")
    assert run("policies", "check", str(file.with_name("none.yaml"))).code == 2


@pytest.mark.outside
def test_a_backup_that_is_run_now_is_one_of_the_policys(file: Path, home: Path) -> None:
    made = run("policies", "run", "nightly", "--json")
    assert made.code == 0, made.stderr
    with harness.open_stores(home) as stores, stores.catalog.read() as connection:
        holdings = Holdings.read(connection, None, stores.clock())
        [backup] = holdings.newest_backups("nightly")
    assert backup.namespace.name == made.json["namespace"]["namespace_name"]
    assert backup.is_proven
    refreshed = run("policies", "run", "follow", "--json")
    assert refreshed.json["namespace"]["namespace_name"] == "staging"


def test_a_policy_that_is_not_there_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has no usable policy 'weekly'" in run("policies", "run", "weekly").stderr
    file.write_text("backups: [{name: nightly}]", encoding="utf-8")
    assert "has no usable policy 'nightly' (" in run("policies", "run", "nightly").stderr
    monkeypatch.delenv("CLONE_POLICIES")
    assert "CLONE_POLICIES names no policies file" in run("policies", "run", "nightly").stderr


def test_a_test_message_goes_to_each_target_and_who_was_not_reached_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "canary-of-the-webhook")
    with receiving() as receiver:
        entry = f"{{name: ops, webhook: '{receiver.url}', secret: {{env: HOOK_SECRET}}}}"
        chat = "{name: chat, slack: c, token: {env: UNSET}, kinds: [failed]}"
        file.write_text(f"{FILE}notify:\n  - {entry}\n", encoding="utf-8")
        looked = run("policies", "check", str(file), "--json")
        assert (looked.code, receiver.received) == (0, [])
        said = run("policies", "check", str(file), "--notify", "--json")
        assert (said.code, receiver.said) == (0, [["test"]])
        assert said.json["notify"] == [
            {"target": "ops", "where": "127.0.0.1", "kinds": "all", "test": "reached"}
        ]
        file.write_text(f"{FILE}notify:\n  - {entry}\n  - {chat}\n", encoding="utf-8")
        unset = run("policies", "check", str(file), "--json").json["notify"][1]
        assert (unset["kinds"], unset["not set here"]) == ("failed", "UNSET")
        said = run("policies", "check", str(file), "--notify")
        assert (said.code, len(receiver.received)) == (1, 2)
    assert "chat (Slack, c) was not told: the environment variable UNSET is not set." in said.stdout
    assert "canary" not in said.stdout + said.stderr


@pytest.mark.outside
def test_an_archive_that_is_run_now_is_listed_and_swept(file: Path, tmp_path: Path) -> None:
    place = (tmp_path / "out").as_uri()
    policy = f'name: nightly, source: prod, cron: "0 2 * * *", to: "{place}", keep: {{last: 1}}'
    file.write_text(f"backups:\n  - {{{policy}}}\n", encoding="utf-8")
    (row,) = run("policies", "check", str(file), "--json").json["policies"]
    assert row["makes"] == f"{place}/prod_backup_{{date}}_{{time}}"
    made = run("policies", "run", "nightly", "--json")
    assert made.code == 0, made.stderr
    assert made.json["address"].startswith(f"{place}/prod_backup_")
    (shown,) = run("list", "--archives", "--json").json
    assert (shown["address"], shown["policy"], shown["proven"]) == (
        made.json["address"],
        "nightly",
        True,
    )
    assert "for policy nightly" in run("list", "--archives").stdout.replace("\n", " ")
    page = tmp_path / "page.html"
    said = run("report", "nightly", "-o", str(page), "--json").json
    assert (said["policy"], said["namespace_name"], said["runs"]) == ("nightly", None, 1)
    assert "the last proven backup, last 1" in page.read_text(encoding="utf-8")
    would = run("sweep", "--dry-run", "--json").json
    assert [one["why"] for one in would["archives"]["kept"]] == [
        "a backup of nightly: the last proven backup, last 1"
    ]
    assert "the last proven backup" in run("sweep", "--dry-run").stdout.replace("\n", " ")
