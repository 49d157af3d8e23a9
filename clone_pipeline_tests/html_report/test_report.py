"""The page of `report`: whatever a name holds is text in it, no secret stands in it, and nothing on
it runs or is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import InvalidRequest, NotFound
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.history import MOST, History, read_history
from clone_pipeline.core.stores import Stores
from clone_pipeline.html_report.plot import Bar, draw
from clone_pipeline.html_report.render import render
from clone_pipeline_tests import harness
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.core.bundle.samples import sample

from .pages import KEYED, LOADS, TEXTS, Page, assert_harmless

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
NIGHTLY: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(tmp_path, sample()) as stores:
        yield stores


def history(stores: Stores, name: str, organization: str | None = None, **more: Any) -> History:
    with stores.catalog.read() as connection:
        return read_history(connection, organization, name, **more)


def shown(stores: Stores, name: str, **more: Any) -> str:
    return Page(render(history(stores, name, **more), NOW)).text


def failed(stores: Stores, name: str, why: str) -> None:
    clone = harness.clone(stores, "prod", name, until="copy_points", **NIGHTLY)
    ledger.fail(stores, clone.clone_id, str(clone.run_id), why)


# ---- what it says ----------------------------------------------------------------------------


def test_a_clone_shows_its_plan_its_counts_its_proof_and_its_seal(stores: Stores) -> None:
    made = harness.clone(stores, "prod", "staging", description="Seen by all.")
    text = shown(stores, "staging")
    assert made.seal is not None
    assert text.startswith("staging: Proven")
    for said in (
        "every record and every point was compared with the source",
        f"Source prod ({made.source_namespace_id}, org_acme)",
        f"Lane {made.plan['lane']}: {made.plan['lane_reason']}",
        "description Seen by all.",
        made.plan["equality"],
        str(made.seal["qdrant_config"]),
        "points 4 4",
        "copy_points",
        "Over generations",
    ):
        assert said in text, said


def test_a_policy_shows_all_its_runs_and_what_its_newest_one_says(stores: Stores) -> None:
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    failed(stores, "tuesday", "The disk is full.")
    text = shown(stores, "nightly")
    assert text.startswith("nightly: Failed")
    assert "tuesday, begun at" in text
    assert "failed: The disk is full. The last good one is monday, of " in text
    assert "1 of 2 succeeded" in text
    assert text.index("tuesday", text.index("Runs begun")) < text.rindex("monday")


def test_a_clone_that_is_deleted_still_has_its_history(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging")
    delete_clone(stores, None, "staging")
    assert "published, gone" in shown(stores, "staging")


def test_a_clone_that_is_being_made_has_a_page(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging", until="copy_points")
    text = shown(stores, "staging")
    assert text.startswith("staging: In progress")
    assert "not yet" in text


def test_what_a_namespace_and_a_policy_are_both_called_is_the_namespace(stores: Stores) -> None:
    harness.clone(stores, "prod", "nightly")
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    assert history(stores, "nightly").policy is None
    assert history(stores, "nightly", of_policy=True).policy == "nightly"


def test_what_there_is_not_or_not_for_the_caller_is_not_found(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging")
    for name, organization in (("none", None), ("prod", None), ("staging", "org_other")):
        with pytest.raises(NotFound, match="has no clone and no policy"):
            history(stores, name, organization)
    with stores.catalog.write() as connection:
        row = dict(connection.execute(select(schema.clones)).mappings().one())
        others = {"clone_id": "clone_other", "organization_id": "org_other", "policy": "nightly"}
        connection.execute(insert(schema.clones).values({**row, **others}))
        connection.execute(
            update(schema.clones)
            .where(schema.clones.c.clone_id == row["clone_id"])
            .values(policy="nightly")
        )
    with pytest.raises(InvalidRequest, match="several organizations"):
        history(stores, "nightly")
    assert history(stores, "nightly", "org_other").count == 1


def test_of_many_runs_the_newest_are_drawn_and_the_others_counted(stores: Stores) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    with stores.catalog.write() as connection:
        row = dict(connection.execute(select(schema.clones)).mappings().one())
        many = [
            {**row, "clone_id": f"c{n}", "created_at": made.created_at - timedelta(days=n + 1)}
            for n in range(MOST + 20)
        ]
        connection.execute(insert(schema.clones), many)
    found = history(stores, "nightly")
    assert (found.count, len(found.made)) == (MOST + 21, MOST)
    assert found.newest.clone_id == made.clone_id
    content = render(found, NOW)
    assert content.count("<rect") == 3 * MOST
    assert "21 older runs are not shown." in Page(content).text


def test_bars_are_as_high_as_their_numbers() -> None:
    numbers = [0.0, 25.0, 100.0]
    picture = draw([*(Bar(one, "good", str(one)) for one in numbers)], "100", "a", "b")
    heights = [float(part.split('"')[1]) for part in picture.split(" height=")[1:]]
    assert heights == [1.0, pytest.approx(heights[2] / 4, abs=0.1), heights[2]]
    assert draw([], "none", "a", "a").startswith("<svg")


# ---- what it must not hold -------------------------------------------------------------------


@pytest.mark.outside
def test_of_a_namespace_full_of_secrets_none_is_shown(tmp_path: Path) -> None:
    files, _ = planted_files(600)
    with harness.holding(tmp_path, files) as stores:
        for name, more in (("new", {}), ("same", {"preserve_resource_ids": True})):
            harness.clone(stores, "prod", name, include_resources=harness.everything(), **more)
            content = render(history(stores, name), NOW)
            assert "CANARY" not in content
            assert "cleared" in content


def _spoilt(found: History, texts: list[str], keyed: tuple[str, str]) -> History:
    """A history in which everything that comes from a namespace, a request or an error is text of
    somebody else's."""
    each = iter(texts * 3)
    clone, reports = found.shown.clone, found.shown.reports
    reference = {
        "resource": "retriever",
        "resource_id": next(each),
        "path": f"{next(each)}.{keyed[0]}",
        "old": keyed[1],
        "outcome": "cleared",
        "reason": next(each),
    }
    plain = {**reference, "path": next(each), "old": next(each), "outcome": "unlisted"}
    plan = {
        **clone.plan,
        "source": {**clone.plan["source"], "namespace_name": next(each)},
        "target": {**clone.plan["target"], "namespace_name": next(each)},
        "lane_reason": next(each),
        "references": [reference, plain],
    }
    test = {"good": False, "tested_at": NOW.isoformat(), "sentence": next(each)}
    spoilt = replace(
        clone,
        namespace_name=next(each),
        plan=plan,
        request={**clone.request, "description": next(each), keyed[0]: keyed[1]},
        restore_test=test,
    )
    warned = {
        step: replace(report, warnings=[next(each)]) if step == "plan_clone" else report
        for step, report in reports.items()
    }
    made = [
        replace(found.newest, name=next(each)),
        replace(
            found.newest,
            clone_id="clone_failed",
            name=next(each),
            outcome="failed",
            error=next(each),
            restore_test=test,
        ),
    ]
    detail = replace(found.shown, clone=spoilt, reports=warned)
    return replace(found, name=next(each), made=made, shown=detail)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> History:
    with harness.holding(tmp_path_factory.mktemp("home"), sample()) as stores:
        harness.clone(stores, "prod", "staging")
        return history(stores, "staging")


@given(st.lists(TEXTS, min_size=12, max_size=12), KEYED)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.outside
def test_whatever_a_document_holds_is_text_on_the_page(
    found: History, texts: list[str], keyed: tuple[str, str]
) -> None:
    assert_harmless(render(_spoilt(found, texts, keyed), NOW))


def test_a_name_is_shown_as_it_is(found: History) -> None:
    name = "<script>alert('1 & 2')</script>"
    page = Page(render(replace(found, name=name), NOW))
    assert page.text.startswith(f"{name}: Proven")


def test_a_page_may_run_and_load_nothing_by_its_own_policy(found: History) -> None:
    content = render(found, NOW)
    assert "default-src 'none'; style-src 'unsafe-inline'" in content
    assert "script" not in content
    assert not Page(content).attributes & LOADS
