"""The shipped alert rules and the dashboard, as Prometheus' own tool reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from clone_pipeline.api.metrics import PREFIX, exposed
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness

from .test_metrics import MONITORING, NIGHTLY, file, stores

__all__ = ["file", "stores"]  # fixtures

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed"),
]

HOUR, DAY = 3600, 86400
WHO = 'organization="org_a",policy="nightly"'
LAST_TEST = f"{PREFIX}_policy_last_restore_test_timestamp_seconds{{{WHO}}}"
LAST_PROVEN = f"{PREFIX}_policy_last_proven_timestamp_seconds{{{WHO}}}"
TEST_TURN = f'{PREFIX}_policy_expected_restore_test_interval_seconds{{policy="nightly"}}'


def check(folder: Path, interval: str, series: dict[str, str], **expected: Any) -> None:
    """What Prometheus says of the series (in its own notation) is what is expected."""
    test = {
        "rule_files": [str(MONITORING / "alerts.yml")],
        "evaluation_interval": interval,
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                **expected,
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test), encoding="utf-8")
    promtool("test", "rules", str(folder / "test.yml"))


def promtool(*arguments: str, given: bytes = b"") -> None:
    said = subprocess.run(["promtool", *arguments], input=given, capture_output=True)
    assert said.returncode == 0, (said.stdout + said.stderr).decode()


def at(moment: str, alert: str, severity: str, summary: str | None) -> dict[str, Any]:
    """The alert of the policy at that moment; None: there is none."""
    firing = {
        "exp_labels": {"severity": severity, "policy": "nightly"},
        "exp_annotations": {"summary": summary},
    }
    return {
        "eval_time": moment,
        "alertname": alert,
        "exp_alerts": [] if summary is None else [firing],
    }


@pytest.mark.parametrize(
    ("alert", "last", "turn", "summary"),
    [
        (
            "ClonePolicyOverdue",
            "last_success",
            "expected_interval",
            "Policy nightly is overdue: its last success is {} ago.",
        ),
        (
            "CloneRestoreTestOverdue",
            "last_restore_test",
            "expected_restore_test_interval",
            "Policy nightly: the last restore test was {} ago.",
        ),
    ],
)
def test_what_no_longer_runs_is_alerted_after_a_turn_and_a_quarter_until_it_runs(
    tmp_path: Path, alert: str, last: str, turn: str, summary: str
) -> None:
    """A turn of an hour: the last time at the beginning, the next one after two hours."""
    series = {
        f"{PREFIX}_policy_{last}_timestamp_seconds{{{WHO}}}": f"0x120 {2 * HOUR}x60",
        f'{PREFIX}_policy_{turn}_seconds{{policy="nightly"}}': f"{HOUR}x180",
    }
    alerts = [
        at(moment, alert, "critical", summary.format(ago) if ago else None)
        for moment, ago in (("75m", ""), ("82m", "1h 22m 0s"), ("119m", "1h 59m 0s"), ("122m", ""))
    ]
    check(tmp_path, "1m", series, alert_rule_test=alerts)


@pytest.mark.parametrize("missing", ["", LAST_PROVEN, TEST_TURN])
def test_a_proven_backup_that_was_never_restored_is_alerted_after_nine_days_until_it_is(
    tmp_path: Path, missing: str
) -> None:
    """The first backup after a day, its first test after twelve. Nothing is said where there is
    nothing to restore, and where nobody wants it restored."""
    series = {
        LAST_PROVEN: f"_x23 {DAY}x300",
        TEST_TURN: f"{7 * DAY}x324",
        LAST_TEST: f"_x287 {12 * DAY}x36",
    }
    series.pop(missing, None)
    never = "No backup of policy nightly was restored for a test since it is watched."
    alerts = [
        at(moment, "CloneRestoreTestNever", "warning", None if missing else said)
        for moment, said in (("23h", None), ("9d", None), ("11d", never), ("13d", None))
    ]
    check(tmp_path, "1h", series, alert_rule_test=alerts)


def test_the_dashboard_shows_restore_tests_that_are_overdue_or_never_were(tmp_path: Path) -> None:
    """A turn of an hour; the first test after four hours."""
    series = {LAST_PROVEN: "0x360", TEST_TURN: f"{HOUR}x360", LAST_TEST: f"_x239 {4 * HOUR}x120"}
    turns, never = panel("Restore tests")
    policy = '{policy="nightly"}'
    expected = [
        {"expr": expr, "eval_time": moment, "exp_samples": [{"labels": policy, "value": value}]}
        for expr, moment, value in ((never, "3h", 1), (turns, "5h30m", 1.5))
    ]
    expected += [{"expr": turns, "eval_time": "3h"}, {"expr": never, "eval_time": "5h30m"}]
    check(tmp_path, "1m", series, promql_expr_test=expected)


def panel(title: str) -> list[str]:
    """The expressions of the panel whose title begins so."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    (found,) = [one for one in dashboard["panels"] if one["title"].startswith(title)]
    return [target["expr"] for target in found["targets"]]


def test_prometheus_takes_the_rules_and_the_metrics(stores: Stores, file: Path) -> None:
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    promtool("check", "rules", str(MONITORING / "alerts.yml"))
    promtool("check", "metrics", given=exposed(stores, file, None, "")[0])
