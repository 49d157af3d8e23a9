"""What is resumed, what is begun anew, and what must never be taken for done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.model import namespace_model
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import Conflict, LeaseLost
from clone_pipeline.core.generations import delete as deletion
from clone_pipeline.core.generations import discard as discarding
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger import lease as lease_module
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.lease import Lease, release
from clone_pipeline.core.plan import begin
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.faults.place import wait_until

SOURCE = "prod"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    files = sample()
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": "ns_prod_store"}
    with harness.holding(tmp_path, files) as stores:
        yield stores


def dies(stores: Stores, source: str, name: str, until: str, **options: Any) -> Clone:
    """A clone whose run ends before that step."""
    run_id = harness.new_run()
    clone = harness.clone(stores, source, name, run_id=run_id, until=until, **options)
    ledger.fail(stores, clone.clone_id, run_id, "The run died.")
    return clone


@pytest.fixture
def beats_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.02)


def wait_for_a_heartbeat(stores: Stores, clone: Clone) -> None:
    def heartbeat() -> object:
        with stores.catalog.read() as connection:
            return ledger.get(connection, clone.clone_id).heartbeat_at

    before = heartbeat()
    wait_until(lambda: heartbeat() not in (None, before), "a heartbeat")


def planned_anew(stores: Stores, clone: Clone) -> Clone:
    request = parse_request(clone.request)
    return begin.begin(stores, request, LOCAL_OPERATOR, harness.new_run())


def test_a_clone_that_is_planned_for_long_is_alive(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, beats_often: None
) -> None:
    clone, inner = dies(stores, SOURCE, "copy", until="clone_config"), begin.make_plan

    def for_long(*parties: Any) -> Any:
        wait_for_a_heartbeat(stores, clone)
        return inner(*parties)

    monkeypatch.setattr(begin, "make_plan", for_long)
    assert planned_anew(stores, clone).status == "cloning"


def test_a_plan_that_comes_after_the_first_write_changes_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run that was delivered twice before it had begun."""
    clone, inner = dies(stores, SOURCE, "copy", until="clone_config"), begin.make_plan

    def meanwhile(*parties: Any) -> Any:
        with stores.catalog.write() as connection:
            mine = clones.c.clone_id == clone.clone_id
            connection.execute(update(clones).where(mine).values(phase="copying"))
        return inner(*parties)

    monkeypatch.setattr(begin, "make_plan", meanwhile)
    with pytest.raises(LeaseLost):
        planned_anew(stores, clone)


def test_a_discard_that_takes_long_is_alive(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, beats_often: None
) -> None:
    left, inner = dies(stores, SOURCE, "copy", until="publish_clone"), discarding._remove_collection

    def for_long(*parties: Any) -> None:
        wait_for_a_heartbeat(stores, left)
        inner(*parties)

    monkeypatch.setattr(discarding, "_remove_collection", for_long)
    discard(stores, left)


def test_another_pace_owes_nothing_from_before(stores: Stores) -> None:
    left = dies(stores, SOURCE, "copy", until="copy_points", max_points_per_second=1)
    due = stores.clock() + timedelta(hours=1)
    with stores.catalog.write() as connection:
        mine = clones.c.clone_id == left.clone_id
        connection.execute(update(clones).where(mine).values(paced_until=due))
    for pace, owes in ((1, True), (10_000, False)):
        request = parse_request(left.request | {"max_points_per_second": pace})
        clone = begin.begin(stores, request, LOCAL_OPERATOR, str(left.run_id))
        with stores.catalog.read() as connection:
            assert (ledger.get(connection, clone.clone_id).paced_until is not None) is owes
        ledger.fail(stores, clone.clone_id, str(clone.run_id), "The run died.")


def proven(stores: Stores, clone: Clone) -> str:
    with stores.catalog.read() as connection:
        report = ledger.read_reports(connection, clone.clone_id)["verify_clone"]
    return str(report.shown["proven"])


def test_points_that_a_stopped_discard_has_taken_are_copied_and_proven_anew(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = dies(stores, SOURCE, "copy", until="publish_clone")

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(discarding, "mark_discarded", killed)
        with pytest.raises(RuntimeError):
            discard(stores, left)
    with stores.vectors() as vectors:
        assert not vectors.exists(left.qdrant_collection)

    assert harness.clone(stores, SOURCE, "copy").status == "ready"
    assert verify_pair(stores, None, SOURCE, "copy").equal is True


def test_a_deletion_that_stops_half_way_leaves_nothing_that_looks_ready(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.clone(stores, SOURCE, "copy")

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "mark_discarded", killed)
        with pytest.raises(RuntimeError):
            delete_clone(stores, None, "copy")
    with stores.catalog.read() as connection:
        assert not namespaces.resolve(connection, None, "copy").is_ready
    assert len(delete_clone(stores, None, "copy")) == 1


def test_a_resumed_clone_is_proven_as_the_last_request_asks(stores: Stores) -> None:
    dies(stores, SOURCE, "copy", until="publish_clone", verify="counts")
    assert proven(stores, harness.clone(stores, SOURCE, "copy", verify="full")) == "full"


def test_a_copy_begun_for_another_proof_is_compared_whole_where_there_is_no_sample(
    stores: Stores,
) -> None:
    dies(stores, SOURCE, "copy", until="verify_clone", verify="counts")
    clone = harness.clone(stores, SOURCE, "copy", verify="sample")
    with stores.catalog.read() as connection:
        report = ledger.read_reports(connection, clone.clone_id)["verify_clone"]
    assert report.details["points_compared"] == report.shown["counted"]["points"] > 0


@pytest.mark.outside
def test_a_source_that_was_made_anew_is_cloned_from_the_start(stores: Stores) -> None:
    harness.clone(stores, SOURCE, "middle")
    first = dies(stores, "middle", "copy", until="verify_clone")
    delete_clone(stores, None, "middle")
    harness.clone(stores, SOURCE, "middle")
    second = harness.clone(stores, "middle", "copy")
    assert (second.status, second.clone_id != first.clone_id) == ("ready", True)


def test_of_a_namespace_of_others_only_the_remains_of_its_replacement_are_deleted(
    stores: Stores,
) -> None:
    harness.clone(stores, SOURCE, "copy")
    with stores.catalog.read() as connection:
        before = namespaces.resolve(connection, None, SOURCE)
    options = {"if_exists": "replace", "adopt": True}
    left = dies(stores, "copy", SOURCE, until="verify_clone", **options)
    assert delete_clone(stores, None, SOURCE) == []
    with stores.catalog.read() as connection:
        assert namespaces.generations(connection, before.organization_id, SOURCE) == [before]
        assert ledger.get(connection, left.clone_id).status == "discarded"
    with pytest.raises(Conflict, match="is no clone: it was loaded from a bundle"):
        delete_clone(stores, None, SOURCE)


def test_a_run_that_repeats_a_rolled_back_one_makes_a_new_generation(stores: Stores) -> None:
    options = {"if_exists": "replace"}
    harness.clone(stores, SOURCE, "copy", **options)
    harness.clone(stores, SOURCE, "copy", run_id="refresh", **options)
    rollback(stores, None, "copy")
    request = parse_request(
        {"namespace_identifier": SOURCE, "namespace_name": "copy", "if_exists": "replace"}
    )
    begun = begin.begin(stores, request, LOCAL_OPERATOR, "again", frozenset({"refresh"}))
    assert begun.status == "cloning"
    release(Lease(stores, begun.clone_id, begun.token))


def test_no_secret_is_shown_at_any_depth(stores: Stores) -> None:
    with stores.catalog.read() as connection:
        found = namespaces.resolve(connection, None, SOURCE)
        found.document["infrastructure"] = {
            "qdrant_api_key": "sesame",
            "qdrant_url": "https://user:sesame@q:6333",
            "authorization": {"api_token": "sesame", "api_token_secret_ref": "its name"},
        }
        shown = namespace_model(connection, found)
    assert "sesame" not in str(shown)
    assert shown["infrastructure"]["qdrant_url"] == "https://q:6333"
    assert shown["infrastructure"]["authorization"] == {"api_token_secret_ref": "its name"}
