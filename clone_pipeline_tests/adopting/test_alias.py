"""An alias stands for what is live: through refreshes, rollbacks, crashes, and never by theft."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import Conflict, InvalidRequest, StoreUnavailable
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import plan_sweep, run_sweep
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.server import ServerStore

from .. import harness
from ..cli.running import run
from ..faults.bundles import NAME, write_namespace
from ..faults.rest import ask
from .shapes import POINTS, SHAPES, fill, made
from .test_adopt import adopt, point_at, request, stores_at

pytestmark = pytest.mark.outside

SHAPE = SHAPES["unnamed"]


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    with stores_at(qdrant_url, tmp_path) as stores:
        yield stores


@pytest.fixture
def docs(qdrant_url: str, stores: Stores) -> Iterator[str]:
    """The Qdrant collection of the adopted namespace `docs`."""
    with made(qdrant_url, SHAPE) as collection:
        adopt(stores, collection)
        yield collection


@pytest.fixture
def alias() -> str:
    return f"alias_{uuid.uuid4().hex[:8]}"


def refresh(stores: Stores, alias: str | None = None, name: str = "copy", **options: Any) -> str:
    """Returns the Qdrant collection."""
    made = harness.clone(stores, "docs", name, if_exists="replace", alias=alias, **options)
    return made.qdrant_collection


def stands_for(url: str, alias: str) -> str | None:
    known = ask(url, "/aliases")["aliases"]
    return next((one["collection_name"] for one in known if one["alias_name"] == alias), None)


def live(stores: Stores, name: str = "copy") -> catalog.Namespace:
    with stores.catalog.read() as connection:
        return catalog.resolve(connection, None, name)


def test_it_follows_refreshes_and_rollbacks_and_goes_with_its_namespace(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    first = refresh(stores, alias)
    assert stands_for(qdrant_url, alias) == first
    fill(qdrant_url, docs, SHAPE, range(POINTS), title="second")
    second = refresh(stores, alias)
    assert stands_for(qdrant_url, alias) == second != first
    fill(qdrant_url, docs, SHAPE, range(POINTS), title="third")
    third = refresh(stores)  # which does not say it: it is the name's
    assert stands_for(qdrant_url, alias) == third
    rollback(stores, None, "copy")
    assert stands_for(qdrant_url, alias) == second == live(stores).qdrant_collection
    rollback(stores, None, "copy", to=3)
    assert stands_for(qdrant_url, alias) == third
    delete_clone(stores, None, "copy")
    assert stands_for(qdrant_url, alias) is None


def test_whoever_searches_through_it_finds_the_old_or_the_new_and_never_nothing(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    """Each refresh has one more version in all of its points."""
    refresh(stores, alias)
    stop, wrong, seen = threading.Event(), [], set()
    body = {"limit": POINTS + 10, "with_payload": ["title"], "with_vector": False}

    def read() -> None:
        while not stop.is_set():
            try:
                found = ask(qdrant_url, f"/collections/{alias}/points/scroll", body)["points"]
            except Exception as error:
                wrong.append(repr(error))
                return
            versions = {one["payload"]["title"].partition(" ")[0] for one in found}
            seen.update(versions)
            if len(versions) != 1 or len(found) != POINTS:
                wrong.append(f"{len(found)} points of {versions}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(4):
            fill(qdrant_url, docs, SHAPE, range(POINTS), title=f"v{number} x")
            refresh(stores, alias)
        rollback(stores, None, "copy")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 1


@pytest.mark.parametrize("who", ["the same run", "resume", "a sweep", "a rollback and back"])
def test_a_crash_between_catalog_and_alias_is_finished(
    qdrant_url: str,
    stores: Stores,
    docs: str,
    alias: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    who: str,
) -> None:
    first = refresh(stores, alias)
    fill(qdrant_url, docs, SHAPE, range(POINTS), title="second")

    def dies(self: ServerStore, *_: Any) -> None:
        raise StoreUnavailable("The server is gone.")

    run_id = harness.new_run()
    with monkeypatch.context() as patched:
        patched.setattr(ServerStore, "move_alias", dies)
        with pytest.raises(StoreUnavailable):
            refresh(stores, alias, run_id=run_id)
    now = live(stores)
    assert now.generation == 2
    assert stands_for(qdrant_url, alias) == first
    if who == "the same run":
        run_step(stores, str(now.clone_id), run_id, "publish_clone", process_goes_on=False)
    elif who == "resume":
        monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path))
        monkeypatch.setenv("QDRANT_URL", qdrant_url)
        said = run("resume", "copy")
        assert said.code == 0, said.stderr
    elif who == "a sweep":
        run_sweep(stores, None, {}, plan_sweep(stores, None, {}))
    else:
        rollback(stores, None, "copy")
        assert stands_for(qdrant_url, alias) == first
        rollback(stores, None, "copy", to=2)
    assert stands_for(qdrant_url, alias) == now.qdrant_collection


def test_one_that_stands_for_something_else_is_only_taken_when_it_is_adopted(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    point_at(qdrant_url, alias, docs)
    with pytest.raises(Conflict, match="stands for something else"):
        dry_run.plan(stores, request("docs", "copy", alias=alias), LOCAL_OPERATOR)
    with pytest.raises(Conflict, match="stands for something else"):
        refresh(stores, alias)
    # A key of one organization takes none of another's, whatever it says.
    member = Principal(live(stores, "docs").organization_id, "member", None)
    asked = request("docs", "copy", alias=alias, adopt=True)
    with pytest.raises(Conflict, match="stands for something else"):
        dry_run.plan(stores, asked, member)
    assert stands_for(qdrant_url, alias) == docs
    made = refresh(stores, alias, adopt=True)
    assert stands_for(qdrant_url, alias) == made


def test_what_is_taken_meanwhile_is_not_taken_back(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    """Somebody moved it by hand: a refresh says so, and publishes all the same."""
    refresh(stores, alias)
    point_at(qdrant_url, alias, docs)
    report = run_sweep(stores, None, {}, plan_sweep(stores, None, {}))
    assert "stands for something else" in report.failed[0].why
    assert stands_for(qdrant_url, alias) == docs


def test_a_name_of_a_collection_or_of_another_namespaces_alias_is_refused(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    with pytest.raises(Conflict, match="is the name of a Qdrant collection"):
        refresh(stores, docs)
    refresh(stores, alias)
    for options in ({}, {"adopt": True}):
        with pytest.raises(Conflict, match="that of another namespace"):
            refresh(stores, alias, "other", **options)


def test_another_one_for_the_same_name_has_to_be_adopted_and_the_old_one_goes(
    qdrant_url: str, stores: Stores, docs: str, alias: str
) -> None:
    refresh(stores, alias)
    other = f"{alias}_2"
    with pytest.raises(Conflict, match=f"has the alias '{alias}'"):
        refresh(stores, other)
    made = refresh(stores, other, adopt=True)
    assert (stands_for(qdrant_url, other), stands_for(qdrant_url, alias)) == (made, None)


def test_it_needs_a_server_and_a_name_that_qdrant_takes(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="it must not have any of"):
        request("docs", "copy", alias="a/b")
    with pytest.raises(InvalidRequest, match="200 characters"):
        request("docs", "copy", alias="a" * 201)
    with harness.open_stores(tmp_path) as stores:
        harness.load(stores, write_namespace(tmp_path / "in", points=2, objects=0))
        with pytest.raises(InvalidRequest, match="`alias` needs a Qdrant server"):
            dry_run.plan(stores, request(NAME, "copy", alias="a"), LOCAL_OPERATOR)
    assert request("docs", "copy", alias="").identity() == request("docs", "copy").identity()
    assert request("docs", "copy", alias="a").identity() != request("docs", "copy").identity()
