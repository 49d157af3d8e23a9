"""What Prometheus scrapes: out of the ledger, for whoever holds a key; no label by clone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, insert, select

from clone_pipeline.api.metrics import PREFIX, STATUSES, exposed
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger import watch
from clone_pipeline.core.stores import Stores
from clone_pipeline.policies import read_policies
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.world import World
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.core.catalog.rows import add_archive

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
NIGHTLY: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}
FILE = """\
backups:
  - {name: nightly, source: prod, cron: "0 2 * * *"}
  - {name: off, source: prod, cron: "0 3 * * *", enabled: false}
refreshes:
  - {name: follow, source: prod, target: staging, on_change: {}}
  - {name: daily, source: prod, target: other, on_change: {}, max_age_seconds: 86400}
  - {name: broken, source: prod}
"""

Metrics = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with harness.open_stores(tmp_path) as stores:
        harness.load(stores, sample())
        yield stores


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policies.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def read(stores: Stores, file: Path | None = None, organization: str | None = None) -> Metrics:
    body, content_type = exposed(stores, file, organization, "")
    assert content_type.startswith("text/plain")
    found: Metrics = {}
    for family in text_string_to_metric_families(body.decode()):
        for one in family.samples:
            found.setdefault(one.name.removeprefix(f"{PREFIX}_"), {})[
                tuple(one.labels.values())
            ] = one.value
    return found


def test_a_policy_shows_its_last_success_and_after_a_failure_that_too(
    stores: Stores, file: Path
) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    now = read(stores, file)
    who = ("org_acme", "nightly")
    assert made.finished_at is not None
    success = made.finished_at.timestamp()
    assert now["policy_last_success_timestamp_seconds"] == {who: success}
    assert now["policy_last_proven_timestamp_seconds"] == {who: success}
    assert now["policy_last_success_points"] == {who: float(made.points or 0)}
    assert now["policy_last_success_duration_seconds"][who] > 0
    assert now["policy_copies"] == {who: 1.0}
    assert now["policy_last_status"] == {
        (*who, status): float(status == "ready") for status in STATUSES
    }
    begun = harness.clone(stores, "prod", "tuesday", until="verify_clone", **NIGHTLY)
    then = read(stores, file)
    assert then["clones_running"] == {("verify_clone",): 1.0}
    assert then["running_points"] == then["running_points_planned"] == {(): 4.0}
    ledger.fail(stores, begun.clone_id, str(begun.run_id), "The disk was full.")
    then = read(stores, file)
    assert then["policy_last_status"][(*who, "failed")] == 1.0
    assert then["policy_last_success_timestamp_seconds"] == {who: success}
    assert (then["clones_failed"], then.get("clones_running", {})) == ({(): 1.0}, {})
    delete_clone(stores, "org_acme", "tuesday")
    assert read(stores, file)["policy_last_status"][(*who, "failed")] == 1.0


def test_the_file_says_how_often_a_policy_is_expected_and_how_many_mistakes_it_has(
    stores: Stores, file: Path
) -> None:
    found = read(stores, file)
    assert found["policy_expected_interval_seconds"] == {
        ("backup", "nightly"): 86400.0,
        ("refresh", "daily"): 86400.0,
    }
    assert found["policies_file_problems"] == {(): len(read_policies(file).problems)}
    assert "policy_expected_interval_seconds" not in read(stores)


def test_a_restore_test_shows_until_its_backup_is_gone(stores: Stores) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    tested = stores.clock()
    result = {"tested_at": tested.isoformat(), "good": False}
    with stores.catalog.write() as connection:
        ledger.keep_restore_test(connection, made.clone_id, result)
    who = ("org_acme", "nightly")
    assert read(stores)["policy_restorable"] == {who: 0.0}
    shown = read(stores)["policy_last_restore_test_timestamp_seconds"][who]
    assert shown == pytest.approx(tested.timestamp(), abs=0.001)
    with stores.catalog.write() as connection:
        mine = schema.namespaces.c.clone_id == made.clone_id
        connection.execute(schema.namespaces.delete().where(mine))
    assert "policy_restorable" not in read(stores)


def test_an_organization_sees_its_own_and_an_admin_all(alone: World) -> None:
    for who, seen in {"reader": True, "admin": True}.items():
        answer = alone.ask("GET", "/metrics", who)
        assert answer.status_code == 200
        assert (f"{PREFIX}_clones_failed 1.0" in answer.text) is seen
    with alone.stores.catalog.read() as connection:
        assert watch.at_work(connection, "org_other").failed == 0
    assert alone.client.get("/metrics").status_code == 401


def test_of_many_clones_and_archives_the_newest_are_told(stores: Stores) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    with stores.catalog.write() as connection:
        query = select(schema.clones).where(schema.clones.c.clone_id == made.clone_id)
        row = dict(connection.execute(query).mappings().one())
        for number in range(100):
            moment = made.created_at + timedelta(seconds=number)
            add_archive(connection, f"a{number}", policy=f"kept_{number % 5}", created_at=moment)
            copy = {"clone_id": f"clone_{number}", "policy": f"policy_{number % 5}"}
            connection.execute(insert(schema.clones), row | copy | {"created_at": moment})
    found = read(stores)["policy_last_run_timestamp_seconds"]
    newest = {f"{kind}_{n}": 95 + n for kind in ("policy", "kept") for n in range(5)}
    assert {who[1]: at - made.created_at.timestamp() for who, at in found.items()} == {
        "nightly": 0.0,
        **{name: pytest.approx(seconds) for name, seconds in newest.items()},
    }


def test_a_scrape_goes_through_indexes_and_through_no_table(stores: Stores, file: Path) -> None:
    """By what the database says of its plans: rows are long, and a scrape comes each minute."""
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    harness.clone(stores, "prod", "tuesday", until="verify_clone", **NIGHTLY)
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, values: Any, *more: Any) -> None:
        asked.append((statement, values))

    event.listen(stores.catalog._engine, "before_cursor_execute", note)
    read(stores, file)
    event.remove(stores.catalog._engine, "before_cursor_execute", note)
    plans = []
    with stores.catalog.read() as connection:
        for statement, values in asked:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                plans += [row[-1] for row in plan]
    tables = {"clones", "archives", "namespaces"}
    scans = [plan for plan in plans if plan.startswith("SCAN") and set(plan.split()) & tables]
    assert {scan.split()[1] for scan in scans} == {"clones", "archives"}
    assert all("USING COVERING INDEX" in scan for scan in scans), scans


def test_the_policies_file_is_read_again_when_it_changes(stores: Stores, file: Path) -> None:
    before = read(stores, file)["policy_expected_interval_seconds"]
    status = file.stat()
    file.write_text(FILE.replace("0 2 * * *", "0 * * * *"), encoding="utf-8")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = read(stores, file)["policy_expected_interval_seconds"]
    nightly = ("backup", "nightly")
    assert (before[nightly], after[nightly]) == (86400.0, 3600.0)


def test_the_page_the_rules_and_the_dashboard_name_the_metrics_that_there_are(
    stores: Stores, file: Path
) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    harness.clone(stores, "prod", "tuesday", until="verify_clone")
    with stores.catalog.write() as connection:
        result = {"tested_at": stores.clock().isoformat(), "good": True}
        ledger.keep_restore_test(connection, made.clone_id, result)
    body = exposed(stores, file, None, "")[0].decode()
    documented = {}
    for family in text_string_to_metric_families(body):
        labels = ", ".join(f"`{label}`" for label in family.samples[0].labels)
        documented[family.name] = [labels, family.documentation]
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    table = re.findall(rf"^\| `({PREFIX}_\w+)` \| (.*?) ?\| (.*) \|$", page, re.M)
    assert {name: [labels, what] for name, labels, what in table} == documented
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    expressions += [target["expr"] for one in dashboard["panels"] for target in one["targets"]]
    named = {name for each in expressions for name in re.findall(rf"{PREFIX}_\w+", each)}
    assert named <= documented.keys()
    told = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert all(f"`{alert}`" in page for alert in told)
