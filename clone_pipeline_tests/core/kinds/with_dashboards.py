"""What happens to a namespace with resources of the invented kind; `test_new_kind.py` runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from clone_pipeline.api.models import Counts
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import clone_resources, clones
from clone_pipeline.core.errors import BundleError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.progress import read_progress
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.refresh.marks import catalog_mark
from clone_pipeline.core.report import STEPS, SUMMARY, StepReport
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline.core.verify.diff import Looked, contrast
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.sources import Files

from ... import harness
from ..bundle.samples import read_bundle, sample
from .dashboards import dashboards

OVERVIEW = {
    "dashboard_id": "dsh_overview",
    "dashboard_name": "overview",
    "collection_ids": ["col_1"],
    "panels": [{"retriever_id": "ret_1", "title": "first"}],
    "metadata": {"made_for": "col_1"},
    "unknown": {"kept": [1, 1.0, None]},
}
BROKEN = {
    "dashboard_id": "dsh_broken",
    "dashboard_name": "broken",
    "panels": [{"retriever_id": "ret_gone"}, {"retriever_id": "ret_1"}],
}


def source() -> Files:
    files = sample() | {"dashboards.jsonl": [OVERVIEW, BROKEN]}
    [retriever] = files["retrievers.jsonl"]
    retriever["display_config"] = {"dashboard_id": "dsh_overview"}
    return files


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """With the namespace `prod`."""
    with harness.open_stores(tmp_path) as stores:
        with stores.catalog.write() as connection:
            dashboards.create(connection)
        report = harness.load_report(stores, source())
        assert report.counts["dashboards"] == 2
        yield stores


def found(stores: Stores, name: str, kind: str = "dashboard") -> dict[str, dict[str, Any]]:
    """The documents of a namespace by their names."""
    with stores.catalog.read() as connection:
        key = catalog.resolve(connection, None, name).key
        documents = catalog.read_documents(connection, key, kind)
        return {document[f"{kind}_name"]: document for document in documents}


def new_ids(clone: Clone) -> dict[str, str]:
    return {one["source_id"]: one["target_id"] for one in clone.plan["id_map"]}


def reports(stores: Stores, clone: Clone) -> dict[str, StepReport]:
    with stores.catalog.read() as connection:
        return ledger.read_reports(connection, clone.clone_id)


def retitle(stores: Stores, name: str) -> None:
    """Somebody works on a dashboard."""
    document = {key: value for key, value in OVERVIEW.items() if not key.startswith("dashboard_")}
    changed = document | {"panels": [{"retriever_id": "ret_1", "title": "second"}]}
    with stores.catalog.write() as connection:
        mine = dashboards.c.namespace_key == catalog.resolve(connection, None, name).key
        overview = dashboards.c.dashboard_name == "overview"
        connection.execute(update(dashboards).where(mine, overview).values(document=changed))


def test_it_has_its_step_and_its_count() -> None:
    assert STEPS[-4:] == ("clone_dashboards", "copy_files", "verify_clone", "publish_clone")
    assert set(SUMMARY) == {*Counts.model_fields, "dashboards"}


def test_the_plan_names_it(stores: Stores) -> None:
    values = {"namespace_identifier": "prod", "namespace_name": "new"}
    plan = dry_run.plan(stores, parse_request(values), LOCAL_OPERATOR).shown()
    assert plan["counts"]["dashboards"] == 2
    ids = [one for one in plan["id_map"] if one["kind"] == "dashboard"]
    assert [one["name"] for one in ids] == ["broken", "overview"]
    assert all(re.fullmatch(r"dsh_[A-Za-z0-9]{12}", one["target_id"]) for one in ids)
    outcomes = {
        (one["path"], one["outcome"])
        for one in plan["references"]
        if "dashboard" in (one["resource"], one["target"])
    }
    assert outcomes == {
        ("collection_ids[0]", "rewritten"),
        ("panels[0].retriever_id", "rewritten"),
        ("panels[0].retriever_id", "cleared"),
        ("panels[1].retriever_id", "rewritten"),
        ("display_config.dashboard_id", "rewritten"),
        ("metadata.made_for", "unlisted"),
    }


def test_its_references_and_those_to_it_lead_to_the_clone(stores: Stores) -> None:
    clone = harness.clone(stores, "prod", "new", include_resources=harness.everything())
    ids, made = new_ids(clone), found(stores, "new")
    assert made["overview"] == OVERVIEW | {
        "dashboard_id": ids["dsh_overview"],
        "collection_ids": [ids["col_1"]],
        "panels": [{"retriever_id": ids["ret_1"], "title": "first"}],
    }
    assert made["broken"]["panels"] == [{"retriever_id": ids["ret_1"]}]
    [retriever] = found(stores, "new", "retriever").values()
    assert retriever["display_config"] == {"dashboard_id": ids["dsh_overview"]}
    assert found(stores, "prod") == {"overview": OVERVIEW, "broken": BROKEN}


def test_it_is_counted_wherever_the_others_are(stores: Stores) -> None:
    clone = harness.clone(stores, "prod", "new")
    done = reports(stores, clone)
    assert done["clone_dashboards"].counts == {"dashboards": 2}
    assert {row["name"] for row in done["clone_dashboards"].resources} == {"overview", "broken"}
    # The sums of the steps, which are what was counted in the target.
    assert clone.response is not None
    assert clone.response["cloned_resources"]["dashboards"] == 2
    with stores.catalog.read() as connection:
        progress = read_progress(connection, clone)
    assert progress["resources"]["dashboards"] == {"done": 2, "planned": 2}


def test_damage_to_it_is_found_and_repaired(stores: Stores) -> None:
    clone = harness.clone(stores, "prod", "new", run_id="run", until="verify_clone")
    with stores.catalog.write() as connection:
        mine = dashboards.c.namespace_key == clone.namespace_key
        broken = dashboards.c.dashboard_name == "broken"
        connection.execute(delete(dashboards).where(mine, broken))
        connection.execute(update(dashboards).where(mine).values(dashboard_name="else"))
    proof = run_step(stores, clone.clone_id, "run", "verify_clone", process_goes_on=True)
    ids = new_ids(clone)
    assert {tuple(one.values()) for one in proof.details["differences_first"]} == {
        ("dashboard", ids["dsh_broken"], "is missing"),
        ("dashboard", ids["dsh_overview"], "dashboard_name differs"),
    }
    assert set(found(stores, "new")) == {"overview", "broken"}


def test_it_is_verified_later(stores: Stores) -> None:
    harness.clone(stores, "prod", "new", preserve_resource_ids=True)
    assert verify_sealed(stores, None, "new").unchanged
    verdict = verify_pair(stores, None, "prod", "new")
    assert verdict.compared["dashboards"] == 2
    # It was cleared on the way, as it would be again.
    assert verdict.equal
    retitle(stores, "new")
    assert verify_sealed(stores, None, "new").changed_parts == ["dashboard"]
    verdict = verify_pair(stores, None, "prod", "new")
    assert [str(one) for one in verdict.differences.first] == [
        "dashboard dsh_overview: panels[0].title differs"
    ]


def test_diff_names_what_differs_in_it(stores: Stores) -> None:
    harness.clone(stores, "prod", "new", preserve_resource_ids=True)
    both = Looked(stores, None, "prod"), Looked(stores, None, "new")
    made_without = {one.kind for one in contrast(*both).listed}
    assert made_without == {"taxonomy"}
    retitle(stores, "new")
    [one] = [one for one in contrast(*both).listed if one.kind == "dashboard"]
    assert (one.name, one.field, one.first, one.second) == (
        *("overview", "panels[0].title"),
        *("first", "second"),
    )


def test_a_clone_that_was_planned_before_there_was_the_kind_is_finished(stores: Stores) -> None:
    begun = harness.clone(stores, "prod", "new", run_id="run", until="clone_dashboards")
    plan = json.loads(json.dumps(begun.plan))
    del plan["counts"]["dashboards"], plan["ids"]["ids"]["dashboard"]
    with stores.catalog.write() as connection:
        connection.execute(update(clones).values(plan=plan))
        connection.execute(delete(clone_resources).where(clone_resources.c.kind == "dashboard"))
        progress = read_progress(connection, ledger.get(connection, begun.clone_id))
    assert progress["resources"]["dashboards"] == {"done": 0, "planned": 0}
    for step in STEPS[STEPS.index("clone_dashboards") :]:
        run_step(stores, begun.clone_id, "run", step, process_goes_on=True)
    assert found(stores, "new") == {}
    with stores.catalog.read() as connection:
        assert ledger.get(connection, begun.clone_id).status == "ready"


def test_a_restore_puts_back_what_was_cleared_in_it(stores: Stores) -> None:
    harness.clone(stores, "prod", "backup", preserve_resource_ids=True)
    assert len(found(stores, "backup")["broken"]["panels"]) == 1
    harness.clone(stores, "backup", "again", preserve_resource_ids=True, restore=True)
    assert found(stores, "again")["broken"]["panels"] == BROKEN["panels"]


def test_a_refresh_hears_of_a_change(stores: Stores) -> None:
    def marked() -> str:
        with stores.catalog.read() as connection:
            return catalog_mark(connection, catalog.resolve(connection, None, "prod"))

    before = marked()
    assert marked() == before
    with stores.catalog.write() as connection:
        connection.execute(delete(dashboards).where(dashboards.c.dashboard_name == "broken"))
    assert marked() != before


def test_a_bundle_has_its_file(stores: Stores, tmp_path: Path) -> None:
    dumped = harness.dump(stores, "prod", tmp_path / "dumped")
    assert read_bundle(dumped)["dashboards.jsonl"] == [BROKEN, OVERVIEW]


def test_a_bundle_in_which_it_is_broken_is_refused(stores: Stores, tmp_path: Path) -> None:
    files = source() | {"dashboards.jsonl": [OVERVIEW | {"panels": "none"}]}
    with pytest.raises(BundleError, match="`panels` is not a list"):
        harness.load(stores, files)


def test_the_job_has_its_op(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")
    job = clone_job()
    ops = {node.name: node.definition for node in job.nodes}
    assert ops["clone_dashboards"].description == "Clone the dashboards."
    edges = job.graph.dependency_structure
    above = {
        (name, one.input_name): outputs[0].node_name
        for name in ("clone_dashboards", "copy_files", "verify_clone")
        for one, outputs in edges.input_to_upstream_outputs_for_node(name).items()
    }
    assert above == {
        ("clone_dashboards", "taxonomies"): "clone_taxonomies",
        ("copy_files", "points"): "copy_points",
        ("copy_files", "dashboards"): "clone_dashboards",
        ("verify_clone", "files"): "copy_files",
    }
    result = job.execute_in_process(
        run_config={"namespace_identifier": "prod", "namespace_name": "new"}
    )
    response = result.output_for_node("publish_clone")
    assert response["cloned_resources"]["dashboards"] == 2
    with stores.catalog.read() as connection:
        assert len(connection.execute(select(dashboards)).all()) == 4
