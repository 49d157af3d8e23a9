"""The ledger in Prometheus' format: of each policy, and of what is at work. No label by clone.

Everything is read at each scrape, so that a restart loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from clone_pipeline.core.ledger.watch import AtWork, PolicyRecord, at_work, policy_records
from clone_pipeline.core.stores import Stores
from clone_pipeline.policies import Policies, read_policies
from clone_pipeline.policies.intervals import expected_interval, expected_test_interval

PREFIX = "clone_pipeline"
STATUSES = ("ready", "failed", "cloning", "discarded")
_LABELS = ("organization", "policy")


def exposed(
    stores: Stores, policies: Path | None, organization_id: str | None, accept: str
) -> tuple[bytes, str]:
    """The metrics of an organization, or of all, and their content type, as `accept` asks for."""
    started = time.monotonic()
    with stores.catalog.read() as connection:
        records = policy_records(connection, organization_id)
        work = at_work(connection, organization_id)
    read = [*_of_policies(records), *_of_work(work), *_of_file(read_policies(policies))]
    took = GaugeMetricFamily(f"{PREFIX}_scrape_seconds", "How long this took to be read.")
    took.add_metric([], time.monotonic() - started)
    registry = CollectorRegistry()
    registry.register(_Read([*read, took]))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Read:
    """A collector of what has been read already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _of_policies(records: list[PolicyRecord]) -> Iterator[Metric]:
    numbers = {
        "last_run_timestamp_seconds": ("When its newest run was planned.", "begun_at"),
        "last_success_timestamp_seconds": ("When it last succeeded.", "succeeded_at"),
        "last_proven_timestamp_seconds": (
            "When it last succeeded and every point was compared.",
            "proven_at",
        ),
        "last_restore_test_timestamp_seconds": (
            "When a backup of it was last restored for a test.",
            "restore_tested_at",
        ),
        "restorable": ("1 where that test was good, 0 where it was not.", "restorable"),
        "last_success_points": ("How many points its last success has.", "points"),
        "last_success_bytes": ("How many bytes that was, about.", "bytes"),
        "last_success_duration_seconds": ("How long that took.", "seconds"),
        "copies": ("How many of its backups or copies are there.", "live"),
    }
    for name, (what, field) in numbers.items():
        metric = GaugeMetricFamily(f"{PREFIX}_policy_{name}", what, labels=_LABELS)
        for one in records:
            value = getattr(one, field)
            if value is not None:
                metric.add_metric([one.organization_id, one.policy], _number(value))
        yield metric
    status = GaugeMetricFamily(
        f"{PREFIX}_policy_last_status",
        "1 for the status of its newest run, 0 for the others.",
        labels=(*_LABELS, "status"),
    )
    for one in records:
        for name in STATUSES:
            status.add_metric([one.organization_id, one.policy, name], name == _status(one))
    yield status


def _status(one: PolicyRecord) -> str:
    """A failure stays one when what it left was taken away: that is no success."""
    gone = one.status == "discarded"
    return "failed" if gone and one.outcome in ("failed", "not proven") else one.status


def _of_work(work: AtWork) -> Iterator[Metric]:
    steps = GaugeMetricFamily(
        f"{PREFIX}_clones_running", "How many clones are at this step.", labels=("step",)
    )
    for step, count in sorted(work.steps.items()):
        steps.add_metric([step], count)
    yield steps
    for name, what, value in (
        ("clones_failed", "How many failed clones wait to be resumed.", work.failed),
        ("running_points", "How many points the running clones have copied.", work.points),
        ("running_points_planned", "How many they are to copy.", work.points_planned),
    ):
        metric = GaugeMetricFamily(f"{PREFIX}_{name}", what)
        metric.add_metric([], value)
        yield metric


def _of_file(policies: Policies) -> Iterator[Metric]:
    expected = GaugeMetricFamily(
        f"{PREFIX}_policy_expected_interval_seconds",
        "The longest time between two of its runs; none where it waits for a change.",
        labels=("kind", "policy"),
    )
    tests = GaugeMetricFamily(
        f"{PREFIX}_policy_expected_restore_test_interval_seconds",
        "The longest time between two restore tests of its backups.",
        labels=("policy",),
    )
    now = datetime.now(timezone.utc)
    for kind, entries in (("backup", policies.backups), ("refresh", policies.refreshes)):
        for policy in entries:
            interval = expected_interval(policy, now) if policy.enabled else None
            if interval is not None:
                expected.add_metric([kind, policy.name], interval.total_seconds())
            interval = expected_test_interval(policy, now) if policy.enabled else None
            if interval is not None:
                tests.add_metric([policy.name], interval.total_seconds())
    yield from (expected, tests)
    problems = GaugeMetricFamily(
        f"{PREFIX}_policies_file_problems", "How many mistakes the policies file has."
    )
    problems.add_metric([], len(policies.problems))
    yield problems


def _number(value: datetime | float | bool) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)
