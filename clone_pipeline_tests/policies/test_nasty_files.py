"""Whatever a policies file says, Dagster loads the code, and only the entry goes that is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.policies import read_policies
from clone_pipeline_tests import forks
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import holding
from clone_pipeline_tests.policies.files import backup, refresh

pytestmark = pytest.mark.outside

ROOT = Path(__file__).parents[2]

NO_CRON = [
    "0 2 31 6,9 *",  # June and September have 30 days
    "0 0 30,31 2 *",
    "0 0 31 2,4,6,9,11 *",
    "0 0 29 2 mon#5",  # 2016, 2044
    "@reboot",
    "@every 5m",
    "* * * * * *",
    "0 2 * * * 30 2030",
    "R R * * *",
    "H H * * *",
    "\u0661 \u0662 * * *",
    "*/0 * * * *",
    "60 * * * *",
    "0 2 * * *; x",
    "9" * 5000 + " * * * *",
    "1," * 5000 + "1 * * * *",
    "* * * * *\0",
    "* * * * \ud800",
    "",
    " ",
    7,
    None,
    [],
    {"a": {}},
    2.5,
]
NO_ZONE = ["America", "", " ", "/etc/passwd", "../UTC", "UTC\0", "Mars/Base", "x" * 5000, "\ud800"]
GOOD_CRON = ["@daily", "0 0 29 2 *", "0 0 29 2 1", "0 0 L * *", "*/7 0-3,5 * jan,feb MON-fri"]


def nasty_backups() -> list[dict[str, Any]]:
    wrong: list[dict[str, Any]] = [{"cron": cron} for cron in NO_CRON]
    wrong += [{"restore_test": {"cron": cron}} for cron in NO_CRON]
    wrong += [{"timezone": zone} for zone in NO_ZONE]
    wrong += [
        {"source": "s" * 5000},
        {"source": "prod\0"},
        {"source": "\udcff"},
        {"name_template": "{date}{time}" * 100},
        {"name_template": "{date}_{time}_\ud800"},
        {"name_template": "{date.__class__}{time}"},
        {"name_template": "{date:>9999999}{time}"},
        {"owners": ["team:" + "ü"]},
        {"keep": {"daily": 2**63}},
        {"keep": {"last": 1e308}},
        {"restore_test": {"max_age_days": 10**15}},
        {"options": {"description": "\ud83d"}},
        {"options": {"max_points_per_second": -1}},
        {"k" * 900: 1},
        {"\ud800": 1},
    ]
    return [backup(name=f"nasty_{number}", **more) for number, more in enumerate(wrong)]


def nasty_refreshes() -> list[dict[str, Any]]:
    wrong: list[dict[str, Any]] = [{"cron": cron} for cron in NO_CRON if cron is not None]
    wrong += [{"timezone": zone} for zone in NO_ZONE]
    wrong += [
        {"target": "t\0"},
        {"target": "\ud800"},
        {"target": "t\u200b"},
        {"max_age_seconds": 10**17},
        {"on_change": {"quiet_period_seconds": 10**17}},
        {"on_change": {"minimum_interval_seconds": -1}},
    ]
    return [
        refresh(**({"name": f"follows_{number}", "target": f"t{number}"} | more))
        for number, more in enumerate(wrong)
    ]


# As Dagster's code server answers: everything becomes JSON in UTF-8.
_LOAD = """
import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from clone_pipeline.definitions import defs
dg.Definitions.validate_loadable(defs)
serialize_value(RepositorySnap.from_def(defs.get_repository_def())).encode()
print(*(one.name for one in defs.get_repository_def().schedule_defs))
print(*("/".join(key.path) for key in defs.resolve_all_asset_keys()))
"""


@pytest.mark.outside
def test_of_a_file_full_of_mistakes_all_that_is_right_is_loaded(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "policies.yaml"
    home.mkdir()
    with holding(home, sample()):
        pass
    good = [
        backup(name=f"good_{number}", cron=cron, name_template="{policy}_{date}_{time}")
        for number, cron in enumerate(GOOD_CRON)
    ]
    nasty = nasty_backups()
    backups = [*good[:2], *nasty, *good[2:]]
    file.write_text(json.dumps({"backups": backups, "refreshes": nasty_refreshes()}, indent=0))
    env = {**os.environ, "CLONE_PIPELINE_HOME": str(home), "CLONE_POLICIES": str(file)}
    done = forks.server().run(_LOAD, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    schedules, assets = (line.split() for line in done.stdout.splitlines())
    names = [one["name"] for one in good]
    tests = [f"restore_test_{name}" for name in names]
    assert sorted(schedules) == sorted([*names, *tests, "daily_checks", "hourly_sweep"])
    assert {f"clone/org_acme/{name}" for name in names} <= set(assets)
    assert not any("nasty" in one or "/t" in one for one in assets)
    # One mistake, one sentence of a readable length, with its line.
    problems = read_policies(file).problems
    assert len(problems) == 101  # the hundred first ones, and how many there are besides
    assert all(problem.line and len(problem.sentence) < 700 for problem in problems)


def test_each_mistake_has_one_sentence(tmp_path: Path) -> None:
    for section, entries in (("backups", nasty_backups()), ("refreshes", nasty_refreshes())):
        for entry in entries:
            file = tmp_path / "policies.yaml"
            file.write_text(json.dumps({section: [entry]}, indent=0))
            (problem,) = read_policies(file).problems
            assert problem.line is not None
            assert "\n" not in problem.sentence
            assert problem.sentence[-1] == "."


# ---- what is no file of policies at all -------------------------------------------------------

BOMBS = {
    "aliases of aliases": "a: &a0 [x]\n"
    + "".join(f"b{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5000)),
    "merges of merges": "a: &a0 {k: 1}\n"
    + "".join(f"b{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 20)),
    "a merge of many": "a: &a {"
    + ", ".join(f"k{n}: 1" for n in range(9000))
    + "}\nb: {<<: ["
    + "*a, " * 9000
    + "]}\n",
    "a merge of itself": "a: &a {<<: *a}\n",
    "a merge of text": "a: {<<: text}\n",
    "keys that are lists": "? [a, b]\n: 1\n",
    "brackets": "backups: " + "[" * 500_000,
    "many mistakes": "backups:\n" + "- 1\n" * 90_000,
    "NUL": "backups: \0\n",
    "a number without end": f"backups: {'9' * 900_000}\n",
    "a sexagesimal number": f"backups: {'59:' * 5000}59\n",
    "a date that is none": "backups: 2026-99-99\n",
    "tags of Python": "backups: !!python/object/apply:os.system [id]\n",
    "many documents": "a: 1\n---\n" * 1000,
    "larger than is read": "# nothing\n" * 200_000,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_that_is_meant_to_hurt_is_refused_with_sentences(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(BOMBS[kind])
    policies = read_policies(file)
    assert policies.backups == policies.refreshes == ()
    assert 1 <= len(policies.problems) <= 101
    assert all(len(str(problem)) < 700 for problem in policies.problems)


def test_a_file_that_never_ends_or_never_begins_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path / "loop", tmp_path):
        (problem,) = read_policies(path).problems
        assert str(problem).startswith(f"{path}: CLONE_POLICIES cannot be read: ")


def test_a_file_takes_so_many_policies(tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    many = [
        backup(name=f"n{number}", name_template="{policy}_{date}", restore_test=None)
        for number in range(1001)
    ]
    file.write_text(json.dumps({"backups": many}, indent=0))
    policies = read_policies(file)
    assert len(policies.backups) == 1000
    assert [problem.sentence for problem in policies.problems] == [
        "A file takes at most 1,000 policies."
    ]
