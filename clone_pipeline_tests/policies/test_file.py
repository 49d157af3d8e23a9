"""The policies file: every kind of mistake with its sentence, and what it takes down."""

# One mistake a line, with its whole sentence, reads best as a table.
# ruff: noqa: E501

from __future__ import annotations

import json
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.policies import Policies, read_policies
from clone_pipeline.policies.models import PoliciesFile
from clone_pipeline.settings import load_settings

ROOT = Path(__file__).parents[2]
GOOD = """backups:
  - name: good
    source: prod
    cron: "0 2 * * *"
"""
REFRESH = """refreshes:
  - name: staging
    source: prod
    target: staging
"""


def read(tmp_path: Path, content: str | bytes) -> Policies:
    file = tmp_path / "policies.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_policies(file)


def said(policies: Policies) -> list[str]:
    """The problems, without the folder."""
    return [
        f"{Path(problem.file).name}"
        + ("" if problem.line is None else f", line {problem.line}")
        + f": {problem.sentence}"
        for problem in policies.problems
    ]


# ---- mistakes in one backup: the good one beside it stays ------------------------------------

OPTIONS = (
    "include_resources, description, source_organization_id, source_environment, "
    "target_environment, preserve_resource_ids, on_dangling, organization_id, lane, verify, "
    "verify_objects, files, max_points_per_second, concurrent_slices"
)
KEYS = (
    "name, source, enabled, owners, cron, timezone, name_template, to, options, keep, restore_test"
)

# (lines of the entry, the line that is named, the sentence)
BACKUPS = [
    (["name: b", "cron: '@daily'"], 5, "`source` is required: The namespace to clone: its id or its name."),
    (["name: b", "source: prod"], 5, "`cron` is required: When: five fields, minute hour day month weekday."),
    (["name: b", "source: prod", "cron: '@daily'", "keeep: {}"], 8, f"Unknown key `keeep`; accepted are: {KEYS}."),
    (["name: b", "source: 7", "cron: '@daily'"], 6, "`source` is not usable: input should be a valid string (got 7)."),
    (["name: b", "source: prod", "cron: '61 * * * *'"], 5, "`cron` '61 * * * *' is no cron line; write five fields (minute, hour, day, month, weekday), such as `0 2 * * *` for two o'clock each night."),
    (["name: b", "source: prod", "cron: '@daily'", "timezone: Mars/Base"], 5, "There is no time zone 'Mars/Base'; write one such as `Europe/Berlin`."),
    (["name: b", "source: prod", "cron: '@daily'", "timezone: America"], 5, "There is no time zone 'America'; write one such as `Europe/Berlin`."),
    (["name: b", "source: prod", "cron: '@daily'", "name_template: backup"], 5, "`name_template` 'backup' gives the same name twice; put `{date}` and `{time}` into it."),
    (["name: b", "source: prod", "cron: '@hourly'", "name_template: 'b_{date}'"], 5, "`name_template` 'b_{date}' gives the same name twice; put `{time}` into it."),
    (["name: b", "source: prod", "cron: '@daily'", "name_template: 'b_{time}'"], 5, "`name_template` 'b_{time}' gives the same name twice; put `{date}` into it."),
    (["name: b", "source: prod", "cron: '@daily'", "name_template: '{date}{zone}'"], 5, "`name_template` has an unknown placeholder `{zone}`; accepted are: `{source}`, `{policy}`, `{date}`, `{time}`."),
    (["name: b", "source: prod", "cron: '@daily'", "name_template: '{date'"], 5, "`name_template` '{date' has a brace without its partner; accepted are: `{source}`, `{policy}`, `{date}`, `{time}`."),
    (["name: b", "source: prod", "cron: '@daily'", f"name_template: '{'x' * 57}{{date}}'"], 5, f"`name_template` '{'x' * 57}{{date}}' gives names such as '{'x' * 57}20261124', of 65 characters; at most 64 are allowed."),
    (["name: b", "source: prod", "cron: '@daily'", "name_template: ' {date}'"], 5, "`name_template` ' {date}' gives names that begin or end with a space or hold control characters."),
    (["name: b", "source: prod", "cron: '@daily'", "ttl_seconds: 60"], 8, "A policy does not take `ttl_seconds`: backups are kept as `keep` says, and a refreshed namespace stays."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {ttl_seconds: 60}"], 8, "A policy does not take `ttl_seconds`: backups are kept as `keep` says, and a refreshed namespace stays."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {if_exists: replace}"], 8, "A policy does not take `if_exists`: a backup never replaces anything, and a refresh always replaces its target."),
    (["name: b", "source: prod", "cron: '@daily'", "options:", "  adopt: true"], 9, "A backup does not take `adopt`: it never replaces anything."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {mode: branch}"], 8, "A policy does not take `mode`: it always copies."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {verify: sample}"], 8, "`options.verify` is not usable: input should be 'full' (got \"sample\")."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {lane: fast}"], 8, "`options.lane` is not usable: input should be 'auto', 'stream', 'native' or 'delta' (got \"fast\")."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {speed: 3}"], 8, f"Unknown key `options.speed`; accepted are: {OPTIONS}."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {concurrent_slices: 65}"], 8, "`options.concurrent_slices` is not usable: input should be less than or equal to 64 (got 65)."),
    (["name: b", "source: prod", "cron: '@daily'", "lane: native"], 8, "`lane` belongs under `options`."),
    (["name: b", "source: prod", "cron: '@daily'", "options: {include_resources: {points: true}}"], 8, "Unknown key `options.include_resources.points`; accepted are: collections, retrievers, taxonomies."),
    (["name: b", "source: prod", "cron: '@daily'", "keep: {}"], 8, "`keep` must keep something; leave it out to keep everything."),
    (["name: b", "source: prod", "cron: '@daily'", "keep: {daily: -1}"], 8, "`keep.daily` is not usable: input should be greater than or equal to 0 (got -1)."),
    (["name: b", "source: prod", "cron: '@daily'", "keep: {yearly: 1}"], 8, "Unknown key `keep.yearly`; accepted are: last, hourly, daily, weekly, monthly."),
    (["name: b", "source: prod", "cron: '@daily'", "enabled: maybe"], 8, "`enabled` is not usable: input should be a valid boolean (got \"maybe\")."),
    (["name: b", "source: prod", "cron: '@daily'", "source: other"], 8, "`source` stands here and in line 6; keep one."),
    (["name: b", "source: prod", "cron: '@daily'", "owners: [bob]"], 8, "'bob' is no owner; write an e-mail address, or `team:` and a name, such as `team:search`."),
    (["name: b", "source: prod", "cron: '@daily'", "owners: ['ü@ü.ü']"], 8, "'ü@ü.ü' is no owner; write an e-mail address, or `team:` and a name, such as `team:search`."),
    (["name: b", "source: prod", "cron: '@daily'", "owners: ['a,b@c.de']"], 8, "'a,b@c.de' is no owner; write an e-mail address, or `team:` and a name, such as `team:search`."),
    (["name: b", "source: prod", "cron: '@daily'", "restore_test: {cron: x}"], 8, "`cron` 'x' is no cron line; write five fields (minute, hour, day, month, weekday), such as `0 2 * * *` for two o'clock each night."),
    (["name: b", "source: prod", "cron: '@daily'", "restore_test: {days: 3}"], 8, "Unknown key `restore_test.days`; accepted are: cron, max_age_days."),
    (["name: restore_test_x", "source: prod", "cron: '@daily'"], 5, "`name` 'restore_test_x' is not usable: write letters, digits and `_`, and do not begin with `staging_refresh_` or `restore_test_`."),
    (["name: a-b", "source: prod", "cron: '@daily'"], 5, "`name` 'a-b' is not usable: write letters, digits and `_`, and do not begin with `staging_refresh_` or `restore_test_`."),
    (["name: staging_refresh_x", "source: prod", "cron: '@daily'"], 5, "`name` 'staging_refresh_x' is not usable: write letters, digits and `_`, and do not begin with `staging_refresh_` or `restore_test_`."),
    (["name: config", "source: prod", "cron: '@daily'"], 5, "`name` 'config' means something else in Dagster; choose another."),
    (["name: clone_failed", "source: prod", "cron: '@daily'"], 5, "`name` 'clone_failed' means something else in Dagster; choose another."),
    (["name: good", "source: other", "cron: '@daily'"], 5, "The name 'good' is taken by the policy in line 2."),
    (["name: b", "source: prod", "cron: '@daily'"], 5, "'b' writes to the same names as 'good' in line 2."),
    (["name: b", "source: prod", "cron: '@daily'", "to: s3://bucket"], 5, "`to` 's3://bucket' is no place for archives: write `s3://bucket/prefix` or `file:///path/of/a/folder`."),
    (["name: b", "source: prod", "cron: '@daily'", "to: /mnt/backups"], 5, "`to` '/mnt/backups' is no place for archives: write `s3://bucket/prefix` or `file:///path/of/a/folder`."),
    (["name: b", "source: prod", "cron: '@daily'", "to: file:///"], 5, "`to` 'file:///' is no place for archives: write `s3://bucket/prefix` or `file:///path/of/a/folder`."),
    (["name: b", "source: prod", "cron: '@daily'", "to: 's3://b/x?y'"], 5, "`to` 's3://b/x?y' is no place for archives: write `s3://bucket/prefix` or `file:///path/of/a/folder`."),
    (["name: b", "source: a/b", "cron: '@daily'", "to: s3://b/x"], 5, "Archives need names without `/`, `?`, `#` and `%` that do not begin with a dot, and the names here are 'a/b_backup_{date}_{time}'; write another `name_template`."),
    (["name: b", "source: prod", "cron: '@daily'", "to: s3://b/x", "name_template: '../{date}'"], 5, "Archives need names without `/`, `?`, `#` and `%` that do not begin with a dot, and the names here are '../{date}'; write another `name_template`."),
    (["name: b", "source: prod", "cron: '@daily'", "to: s3://b/x", "options: {lane: native}"], 5, "An archive (`to`) holds everything, so that its `options` take no `lane`."),
    (["name: b", "source: !secret x", "cron: '@daily'"], 6, "Could not determine a constructor for the tag '!secret'."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "line", "sentence"), BACKUPS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_mistake_is_one_sentence_with_its_line_and_takes_its_entry_down(
    entry: list[str], line: int, sentence: str, tmp_path: Path
) -> None:
    policies = read(tmp_path, GOOD + "  - " + "\n    ".join(entry) + "\n")
    assert said(policies) == [f"policies.yaml, line {line}: {sentence}"]
    assert [policy.name for policy in policies.backups] == ["good"]


def test_archives_and_clones_of_one_name_are_in_nobodys_way(tmp_path: Path) -> None:
    entry = "  - {{name: {}, source: prod, cron: '@daily', to: 's3://b/{}'}}\n"
    policies = read(tmp_path, GOOD + entry.format("away", "x") + entry.format("far", "y"))
    assert policies.problems == ()
    same = read(tmp_path, GOOD + entry.format("away", "x") + entry.format("far", "x/"))
    assert said(same) == [
        "policies.yaml, line 6: 'far' writes to the same names as 'away' in line 5."
    ]


# ---- mistakes in one refresh -----------------------------------------------------------------

REFRESHES = [
    (["cron: '@daily'", "max_age_seconds: 600"], 6, "`max_age_seconds` needs `on_change`; write `on_change: {}`."),
    (["enabled: true"], 6, "A refresh needs `on_change` or `cron`, or it would never run."),
    (["cron: nightly"], 6, "`cron` 'nightly' is no cron line; write five fields (minute, hour, day, month, weekday), such as `0 2 * * *` for two o'clock each night."),
    (["on_change: true"], 9, "`on_change` is not usable: input should be a valid dictionary or instance of OnChange (got true)."),
    (["on_change: {quiet: 3}"], 9, "Unknown key `on_change.quiet`; accepted are: quiet_period_seconds, minimum_interval_seconds."),
    (["on_change: {quiet_period_seconds: 1.5}"], 9, "`on_change.quiet_period_seconds` is not usable: input should be a valid integer (got 1.5)."),
    (["on_change: {}", "max_age_seconds: 5"], 10, "`max_age_seconds` is not usable: input should be greater than or equal to 60 (got 5)."),
    (["on_change: {}", "options: {if_exists: fail}"], 10, "A policy does not take `if_exists`: a backup never replaces anything, and a refresh always replaces its target."),
    (["on_change: {}", "max_age_seconds: 9999999999"], 10, "`max_age_seconds` is not usable: input should be less than or equal to 315360000 (got 9999999999)."),
    (["on_change: {}", "keep: {last: 1}"], 10, "Unknown key `keep`; accepted are: name, source, enabled, owners, target, on_change, cron, timezone, max_age_seconds, options."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "line", "sentence"), REFRESHES, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_mistake_in_a_refresh(more: list[str], line: int, sentence: str, tmp_path: Path) -> None:
    policies = read(tmp_path, GOOD + REFRESH + "    " + "\n    ".join(more) + "\n")
    assert said(policies) == [f"policies.yaml, line {line}: {sentence}"]
    assert (len(policies.backups), len(policies.refreshes)) == (1, 0)


def test_two_policies_with_one_target_are_refused(tmp_path: Path) -> None:
    two = (
        REFRESH
        + "    on_change: {}\n  - {name: b, source: prod, target: staging, cron: '@daily'}\n"
    )
    policies = read(tmp_path, two)
    assert said(policies) == [
        "policies.yaml, line 6: 'b' writes to the same names as 'staging' in line 2."
    ]
    assert [policy.name for policy in policies.refreshes] == ["staging"]
    apart = two.replace("on_change: {}", "on_change: {}\n    options: {organization_id: a}")
    assert said(read(tmp_path, apart)) != []  # no organization may be the same one
    apart = apart.replace("cron: '@daily'}", "cron: '@daily', options: {organization_id: b}}")
    assert said(read(tmp_path, apart)) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("source: a, target: a", "`source` and `target` are the same namespace."),
        (
            "source: a, target: ' b'",
            "`target` must not begin or end with a space or hold control characters.",
        ),
    ],
)
def test_a_target_that_no_clone_can_have(fields: str, sentence: str, tmp_path: Path) -> None:
    policies = read(tmp_path, f"refreshes:\n  - {{name: r, cron: '@daily', {fields}}}\n")
    assert said(policies) == [f"policies.yaml, line 2: {sentence}"]


# ---- mistakes in one target ------------------------------------------------------------------

HOOK = ("name: b", "webhook: https://b.example", "secret: {env: B}")
_VARIABLE = "`{env: NAME}`, the name of an environment variable: secrets do not stand in this file."
_ADDRESS = "An address begins with `https://` and a host, such as `https://a.example/b`."
_HELD = "The address holds a secret; put it into a variable, and write `{env: NAME}`."
_KEYS = "name, webhook, secret, slack, token, api_url, kinds"
_KINDS = (
    "'failed', 'overdue', 'not_proven', 'restore_test_failed', 'restore_test_overdue' or "
    "'broken_file'"
)

# (lines of the entry, the line that is named, the sentence)
TARGETS = [
    (["name: b"], 5, "A target has either `webhook` or `slack`."),
    ([*HOOK, "slack: c"], 5, "A target has either `webhook` or `slack`."),
    (["name: b", "webhook: https://b.example"], 5, "`secret` is required; write `secret: {env: NAME}`."),
    (["name: b", "slack: c"], 5, "`token` is required; write `token: {env: NAME}`."),
    ([*HOOK, "token: {env: T}"], 5, "A webhook has no `token`."),
    (["name: b", "slack: c", "token: {env: T}", "secret: {env: T}"], 5, "A target in Slack has no `secret`."),
    (["name: b", "slack: c", "token: xoxb-canary"], 7, f"Write {_VARIABLE}"),
    ([*HOOK[:2], "secret: canary"], 7, f"Write {_VARIABLE}"),
    ([*HOOK[:2], "secret: {env: canary-of-it}"], 7, f"Write {_VARIABLE}"),
    ([*HOOK[:2], "secret: {env: B, value: canary}"], 7, f"Write {_VARIABLE}"),
    (["name: b", "webhook: [canary]", HOOK[2]], 6, f"Write an `https://` address, or {_VARIABLE}"),
    (["name: b", "webhook: canary.example", HOOK[2]], 6, _ADDRESS),
    (["name: b", "webhook: 'ftp://canary'", HOOK[2]], 6, _ADDRESS),
    (["name: b", "webhook: 'https://a:99999/canary'", HOOK[2]], 6, _ADDRESS),
    (["name: b", "webhook: 'https://a/can ary'", HOOK[2]], 6, _ADDRESS),
    (["name: b", "webhook: 'https://ops:canary@a/'", HOOK[2]], 6, _HELD),
    (["name: b", "webhook: 'https://a/?token=canary'", HOOK[2]], 6, _HELD),
    ([*HOOK, "kinds: [late]"], 8, f"`kinds` is not usable: input should be {_KINDS}."),
    ([*HOOK, "kinds: []"], 8, "`kinds` is not usable: list should have at least 1 item after validation, not 0."),
    ([*HOOK, "password: canary"], 8, f"Unknown key `password`; accepted are: {_KEYS}."),
    ([*HOOK, "ttl_seconds: canary"], 8, f"Unknown key `ttl_seconds`; accepted are: {_KEYS}."),
    (["name: good", *HOOK[1:]], 5, "The name 'good' is taken by another target."),
    (["name: a-b", *HOOK[1:]], 5, "`name` 'a-b' is not usable: write letters, digits and `_`."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "line", "sentence"), TARGETS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_mistake_in_a_target_quotes_no_secret(
    entry: list[str], line: int, sentence: str, tmp_path: Path
) -> None:
    good = "notify:\n  - name: good\n    webhook: {env: HOOK}\n    secret: {env: S}\n"
    policies = read(tmp_path, good + "  - " + "\n    ".join(entry) + "\n")
    assert said(policies) == [f"policies.yaml, line {line}: {sentence}"]
    assert [target.name for target in policies.notify] == ["good"]


# ---- the file as a whole ---------------------------------------------------------------------

ROOTS = [
    ("- a\n", ["policies.yaml, line 1: The file must hold `backups` and `refreshes`, each a list of policies."]),
    ("backups: 3\n", ["policies.yaml, line 1: `backups` must be a list of policies."]),
    ("backups: [3]\n", ["policies.yaml, line 1: Each of `backups` must be a policy with `name` and `source`."]),
    ("backups: []\nbackup: []\n", ["policies.yaml, line 2: Unknown key `backup`; accepted are: backups, refreshes, notify."]),
    ("notify: 3\n", ["policies.yaml, line 1: `notify` must be a list of targets."]),
    ("notify: [3]\n", ["policies.yaml, line 1: Each of `notify` must be a target with `name`, and `webhook` or `slack`."]),
    ("backups: [\n", ["policies.yaml, line 2: This is not YAML: expected the node content, but found '<stream end>'."]),
    ("a: 1\n\tb: 2\n", ["policies.yaml, line 2: This is not YAML: found character '\\t' that cannot start any token."]),
    (b"\xff\xfe\xff", ["policies.yaml: This is not YAML: truncated data."]),
    (f"backups: {'[' * 3000}\n", ["policies.yaml: This is not YAML: it is nested too deeply."]),
    ("a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefgh")), ["policies.yaml, line 1: This is not YAML: with its aliases it holds more than 100,000 values."]),
    ("backups: !!bool maybe\n", ["policies.yaml, line 1: 'maybe' is no value of the type bool."]),
    ("backups: !!timestamp foo\n", ["policies.yaml, line 1: 'foo' is no value of the type timestamp."]),
    ("backups: !!int ''\n", ["policies.yaml, line 1: '' is no value of the type int."]),
    ("backups: !!float ''\n", ["policies.yaml, line 1: '' is no value of the type float."]),
    (f"backups: 0x{'f' * 5000}\n", ["policies.yaml, line 1: The number is too large."]),
    ("backups: &a [*a]\n", ["policies.yaml, line 1: The value contains itself."]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "sentences"), ROOTS, ids=lambda one: repr(one)[:30])
def test_a_file_that_is_not_what_it_should_be(
    content: str | bytes, sentences: list[str], tmp_path: Path
) -> None:
    policies = read(tmp_path, content)
    assert said(policies) == sentences
    assert policies.backups == policies.refreshes == policies.notify == ()


def test_a_section_that_stands_twice_is_not_used_and_the_other_one_is(tmp_path: Path) -> None:
    policies = read(tmp_path, GOOD + REFRESH + "    on_change: {}\nbackups: []\n")
    assert said(policies) == [
        "policies.yaml, line 10: `backups` stands here and in line 1; keep one."
    ]
    assert (len(policies.backups), len(policies.refreshes)) == (0, 1)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    content = "backups:\n  - {name: a, cron: '@daily'}\n  - {name: b, source: 1, crn: 2}\n"
    assert [problem.line for problem in read(tmp_path, content).problems] == [2, 3, 3, 3]


def test_no_file_and_an_empty_one_have_no_policies(tmp_path: Path) -> None:
    assert read_policies(None) == Policies()
    assert said(read(tmp_path, "")) == said(read(tmp_path, "backups:\nrefreshes: []\n")) == []


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for file in (tmp_path / "absent.yaml", tmp_path):
        (problem,) = read_policies(file).problems
        assert str(problem).startswith(f"{file}: CLONE_POLICIES cannot be read: ")


def test_a_merge_key_fills_in_and_the_own_key_wins(tmp_path: Path) -> None:
    content = (
        GOOD.replace("- name", "- &base\n    name") + "  - {<<: *base, name: b, source: other}\n"
    )
    policies = read(tmp_path, content)
    assert said(policies) == []
    assert [(one.name, one.source, one.cron) for one in policies.backups] == [
        ("good", "prod", "0 2 * * *"),
        ("b", "other", "0 2 * * *"),
    ]


# ---- what a good one means -------------------------------------------------------------------


def test_a_backup_asks_for_everything_with_its_ids(tmp_path: Path) -> None:
    more = "    options: {include_resources: {retrievers: false}, organization_id: org_b}\n"
    (policy,) = read(tmp_path, GOOD + more).backups
    request = parse_request(policy.request("name"))
    assert request == CloneRequest.model_validate(
        {
            "namespace_identifier": "prod",
            "namespace_name": "name",
            "include_resources": {"collections": True, "retrievers": False, "taxonomies": True},
            "preserve_resource_ids": True,
            "organization_id": "org_b",
            "verify": "full",
        }
    )
    assert (policy.timezone, policy.enabled) == ("UTC", True)


def test_a_refresh_replaces(tmp_path: Path) -> None:
    more = "    on_change: {}\n    options: {adopt: true, verify: sample}\n"
    (policy,) = read(tmp_path, REFRESH + more).refreshes
    assert parse_request(policy.request()) == CloneRequest(
        namespace_identifier="prod",
        namespace_name="staging",
        if_exists="replace",
        adopt=True,
        verify="sample",
    )


def test_names_are_in_the_policys_time_zone_and_differ_when_an_hour_comes_twice(
    tmp_path: Path,
) -> None:
    more = "    timezone: Europe/Berlin\n"
    (policy,) = read(tmp_path, GOOD.replace("0 2", "30 *") + more).backups
    names = [
        policy.clone_name(datetime(2026, 10, 25, hour, 30, tzinfo=timezone.utc)) for hour in (0, 1)
    ]
    assert names == ["prod_backup_20261025_0230", "prod_backup_20261025_0230b"]


# ---- what is published beside the code -------------------------------------------------------


def test_the_example_is_in_order() -> None:
    policies = read_policies(ROOT / "policies.example.yaml")
    assert policies.problems == ()
    assert len(policies.backups) == len(policies.refreshes) == 1


def test_no_policy_can_be_called_what_we_call_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Late, because Dagster takes a second to import.
    from clone_pipeline.defs.jobs import clone_namespace, sweep_namespaces, test_restore
    from clone_pipeline.defs.schedules import sweep_schedule
    from clone_pipeline.defs.sensors import policy_sensors

    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    ours = [
        *(clone_namespace, sweep_namespaces, test_restore, sweep_schedule(Policies())),
        *policy_sensors(
            read(tmp_path, "notify:\n  - {name: a, slack: b, token: {env: C}}\n"), load_settings()
        ),
    ]
    assert len(ours) == 10
    for name in [one.name for one in ours] + ["daily_checks", "check_clones"]:
        content = f"backups:\n  - {{name: {name}, source: p, cron: '@daily'}}\n"
        (problem,) = read(tmp_path, content).problems
        assert problem.sentence == (
            f"`name` {name!r} means something else in Dagster; choose another."
        )


def test_the_schema_for_editors_is_the_models() -> None:
    published = json.loads((ROOT / "docs" / "policies.schema.json").read_text(encoding="utf-8"))
    assert published == PoliciesFile.model_json_schema()
