"""Who a run acts as: the one who asked for it, for the run that was asked for; nobody's tags count.

The deployment's own key may look only: what succeeds has acted as somebody else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.catalog import keys
from clone_pipeline.core.catalog.keys import create_key, resolve_key
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import reservation
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.outcome import repeated_by_dagster
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import load, open_stores

REQUEST = {"namespace_identifier": "prod", "namespace_name": "new"}
MAY_NOT = "may look, but not change anything"


@dataclass(frozen=True)
class Place:
    """Stores with a namespace `prod`, a Dagster, and a caller who may write."""

    stores: Stores
    instance: dg.DagsterInstance
    caller: Principal

    def reserved(self, run_id: str | None = None) -> Clone:
        """A clone that was asked for; with a `run_id`, and its run."""
        clone = reservation.reserve_for_run(self.stores, parse_request(REQUEST), self.caller)
        if run_id is not None:
            reservation.submitted(self.stores, clone, run_id)
        return clone

    def run(self, clone: Clone, run_id: str | None = None) -> tuple[bool, str]:
        """Whether a run with the clone's tag succeeds, and what it says if not."""
        result = clone_job().execute_in_process(
            run_config=REQUEST,
            tags={"clone/id": clone.clone_id},
            instance=self.instance,
            run_id=run_id or str(uuid.uuid4()),
            raise_on_error=False,
        )
        failed = [event for event in result.all_events if event.is_step_failure]
        said = failed[0].step_failure_data.user_failure_data if failed else None
        return result.success, (said.description or "") if said else ""

    def now(self, clone: Clone) -> Clone:
        with self.stores.catalog.read() as connection:
            return ledger.get(connection, clone.clone_id)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    home = tmp_path / "home"
    home.mkdir()
    with open_stores(home) as stores, dg.DagsterInstance.ephemeral() as instance:
        load(stores, sample())
        now = stores.clock()
        mine, _ = create_key(stores.catalog, "org_acme", "read", now)
        theirs, _ = create_key(stores.catalog, "org_acme", "member", now)
        monkeypatch.setenv("CLONE_PIPELINE_HOME", str(home))
        monkeypatch.setenv("CLONE_PIPELINE_API_KEY", mine)
        yield Place(stores, instance, resolve_key(stores.catalog, theirs, now))


def test_the_run_that_was_asked_for_acts_as_the_caller(place: Place) -> None:
    run_id = str(uuid.uuid4())
    clone = place.reserved(run_id)
    assert place.run(clone, run_id) == (True, "")
    assert place.now(clone).status == "ready"


def test_another_run_with_the_tag_does_not(place: Place) -> None:
    clone = place.reserved("the-run")
    succeeded, said = place.run(clone)
    assert not succeeded
    assert MAY_NOT in said
    assert (place.now(clone).status, place.now(clone).run_id) == ("cloning", "the-run")


def test_a_run_with_the_tag_of_a_cancelled_request_does_not(place: Place) -> None:
    run_id = str(uuid.uuid4())
    clone = place.reserved(run_id)
    ledger.fail(place.stores, clone.clone_id, run_id, "The run was cancelled.")
    succeeded, said = place.run(clone)
    assert not succeeded
    assert MAY_NOT in said
    # Nor does the run itself, should Dagster begin it all the same.
    succeeded, said = place.run(clone, run_id)
    assert not succeeded
    assert "ended before its run began" in said
    assert place.now(clone).status == "failed"


def test_a_reservation_is_begun_once(place: Place) -> None:
    run_id = str(uuid.uuid4())
    clone = place.reserved(run_id)
    place.run(clone, run_id)
    succeeded, said = place.run(clone)
    assert not succeeded
    assert MAY_NOT in said


@pytest.mark.parametrize("lost", ["revoked", "expired"])
def test_a_key_that_is_lost_meanwhile_begins_nothing(
    lost: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = str(uuid.uuid4())
    clone = place.reserved(run_id)
    if lost == "revoked":
        keys.revoke_key(place.stores.catalog, str(place.caller.key_id), place.stores.clock())
    else:
        with place.stores.catalog.write() as connection:
            expired = keys.api_keys.c.key_id == place.caller.key_id
            now = place.stores.clock()
            connection.execute(keys.update(keys.api_keys).where(expired).values(expires_at=now))
    succeeded, said = place.run(clone, run_id)
    assert not succeeded
    assert "has expired or was revoked" in said
    assert (place.now(clone).status, place.now(clone).was_begun) == ("failed", False)


def acts_as(
    place: Place, clone: Clone, run_id: str, repeats: str | None = None
) -> Principal | None:
    identity = parse_request(REQUEST).identity()
    return reservation.caller(place.stores, clone.clone_id, identity, run_id, repeats)


def test_the_run_that_dagster_puts_in_its_place_acts_as_the_caller_too(place: Place) -> None:
    clone = place.reserved("the-run")
    assert acts_as(place, clone, "again", "other") is None
    assert acts_as(place, clone, "again", "the-run") == place.caller
    assert place.now(clone).run_id == "again"
    assert acts_as(place, clone, "the-run") is None


def test_only_dagster_says_what_it_has_put_in_the_place_of_a_run(place: Place) -> None:
    """Whoever launches may call any run the parent of his own."""
    instance, job = place.instance, clone_job()
    first = instance.create_run_for_job(job, run_config=REQUEST)
    mine = {"parent_run_id": first.run_id, "root_run_id": first.run_id}
    second = instance.create_run_for_job(job, run_config=REQUEST, **mine)
    assert repeated_by_dagster(instance, first) is None
    assert repeated_by_dagster(instance, second) is None
    instance.add_run_tags(first.run_id, {"dagster/auto_retry_run_id": second.run_id})
    assert repeated_by_dagster(instance, second) == first.run_id


def test_until_the_run_is_on_record_none_begins(place: Place) -> None:
    clone = place.reserved()
    with pytest.raises(CloneError, match="not on record yet which run 'new' was reserved for"):
        acts_as(place, clone, "first come")
    assert place.now(clone).run_id is None
