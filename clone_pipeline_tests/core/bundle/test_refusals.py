"""What a load must not touch, and what is left when a store fails under it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, insert, update

from clone_pipeline.core.bundle import discard_dead_loads, load
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import Conflict, InProgress, LeaseLost, StoreUnavailable
from clone_pipeline.core.process import Holder
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests.sources import Files, write_bundle

from .samples import NOW, rows, sample

OTHER_HOST = Holder("another-host", 1, 1.0)


def renamed(**changes: object) -> Files:
    """The sample under another id, name and Qdrant collection, but for `changes`."""
    files = sample()
    document = {"namespace_id": "ns_other", "namespace_name": "other", "infrastructure": None}
    return files | {"namespace.json": files["namespace.json"] | document | changes}


@pytest.fixture
def loaded(catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path) -> dict[str, int]:
    """The sample is there; the rows it takes."""
    load(write_bundle(tmp_path / "first", sample()), catalog, vectors, NOW)
    return rows(catalog)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"namespace_id": "ns_prod000001"}, "id 'ns_prod000001'"),
        ({"namespace_id": "ns_prod000001", "organization_id": "org_2"}, "id 'ns_prod000001'"),
        ({"namespace_name": "prod"}, "name 'prod'"),
        ({"namespace_id": "prod"}, "id 'prod'"),
        ({"namespace_name": "ns_prod000001"}, "name 'ns_prod000001'"),
        ({"infrastructure": {"qdrant_collection": "ns_prod_store"}}, "ns_prod_store exists"),
    ],
)
def test_what_exists_is_not_loaded_over(
    loaded: dict[str, int],
    catalog: Catalog,
    vectors: EmbeddedStore,
    tmp_path: Path,
    changes: dict[str, object],
    words: str,
) -> None:
    with pytest.raises(Conflict, match=words):
        load(write_bundle(tmp_path / "second", renamed(**changes)), catalog, vectors, NOW)
    assert rows(catalog) == loaded
    assert vectors.count("ns_prod_store") == 4


def test_another_organization_may_use_the_name(
    loaded: dict[str, int], catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    other = renamed(namespace_name="prod", organization_id="org_2")
    load(write_bundle(tmp_path / "second", other), catalog, vectors, NOW)
    assert rows(catalog)["namespaces"] == rows(catalog)["organizations"] == 2


def test_a_second_bundle_joins_its_organization(
    loaded: dict[str, int], catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    load(write_bundle(tmp_path / "second", renamed()), catalog, vectors, NOW)
    assert (rows(catalog)["namespaces"], rows(catalog)["organizations"]) == (2, 1)


@pytest.mark.parametrize(("name", "words"), [("prod", "name 'prod'"), ("ns_prod000001", "the id")])
def test_a_name_taken_while_points_were_written_is_a_conflict(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path, name: str, words: str
) -> None:
    other = write_bundle(tmp_path / "other", renamed(namespace_name=name))

    def overtake(what: str, _done: int) -> None:
        if what == "points":
            load(other, catalog, vectors, NOW)

    with pytest.raises(Conflict, match=words):
        load(write_bundle(tmp_path / "in", sample()), catalog, vectors, NOW, overtake)
    assert not vectors.exists("ns_prod_store")
    assert vectors.exists("ns_other")
    assert rows(catalog)["namespaces"] == 1
    assert "loads" not in rows(catalog)


def test_a_name_taken_in_the_last_moment_is_a_conflict(
    postgres_url: str, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    catalog, rival = Catalog.open(postgres_url), Catalog.open(postgres_url)
    other = write_bundle(tmp_path / "other", renamed(namespace_name="prod", organization_id="o"))
    load(other, rival, vectors, NOW)

    def overtake(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO namespaces"):
            with rival.write() as connection:
                connection.execute(update(schema.namespaces).values(namespace_id="ns_prod000001"))

    event.listen(catalog._engine, "before_cursor_execute", overtake)
    with pytest.raises(Conflict, match="id 'ns_prod000001'"):
        load(write_bundle(tmp_path / "in", sample()), catalog, vectors, NOW)
    assert not vectors.exists("ns_prod_store")
    assert rows(rival)["namespaces"] == 1
    assert "loads" not in rows(rival)
    catalog.close()
    rival.close()


# ---- other loads -----------------------------------------------------------------------------


def claim(catalog: Catalog, holder: Holder, age_seconds: int, collection: str) -> None:
    """A load of another process, as it stands in the table."""
    with catalog.write() as connection:
        connection.execute(
            insert(schema.loads).values(
                qdrant_collection=collection,
                namespace_id="ns_elsewhere",
                holder_host=holder.host,
                holder_pid=holder.pid,
                holder_started=holder.started,
                heartbeat_at=datetime.now(timezone.utc) - timedelta(seconds=age_seconds),
            )
        )


def test_a_running_load_of_the_same_collection_is_named(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    vectors.create("ns_prod_store", sample()["qdrant.json"])
    claim(catalog, Holder.current(), 3600, "ns_prod_store")
    with pytest.raises(InProgress, match="ns_prod_store is running") as caught:
        load(write_bundle(tmp_path / "in", sample()), catalog, vectors, NOW)
    assert caught.value.details["qdrant_collection"] == "ns_prod_store"
    assert vectors.exists("ns_prod_store")
    assert rows(catalog) == {"loads": 1}


@pytest.mark.parametrize(
    ("holder", "age", "discarded"),
    [
        (Holder.current(), 3600, False),
        (Holder(Holder.current().host, Holder.current().pid, 1.0), 0, True),
        (Holder(Holder.current().host, 0, 0.0), 0, True),
        (OTHER_HOST, 0, False),
        (OTHER_HOST, 30, False),
        (OTHER_HOST, 90, True),
    ],
    ids=["alive", "dead", "gave up", "elsewhere", "elsewhere, late", "elsewhere, silent"],
)
def test_dead_loads_are_discarded_and_live_ones_are_not(
    catalog: Catalog, vectors: EmbeddedStore, holder: Holder, age: int, discarded: bool
) -> None:
    vectors.create("left", sample()["qdrant.json"])
    vectors.create("not_named", sample()["qdrant.json"])
    claim(catalog, holder, age, "left")
    assert discard_dead_loads(catalog, vectors) == (["left"] if discarded else [])
    assert vectors.exists("left") is not discarded
    assert rows(catalog) == ({} if discarded else {"loads": 1})
    assert vectors.exists("not_named")


def test_a_load_whose_heartbeat_is_still_to_come_is_dead_when_no_other_one_follows(
    catalog: Catalog, vectors: EmbeddedStore
) -> None:
    """As where the database's clock was set back."""
    vectors.create("left", sample()["qdrant.json"])
    claim(catalog, OTHER_HOST, -3600, "left")
    assert discard_dead_loads(catalog, vectors) == []
    assert discard_dead_loads(catalog, vectors) == []
    with catalog.write() as connection:
        looked = datetime.now(timezone.utc) - timedelta(seconds=90)
        connection.execute(update(schema.loads).values(seen_at=looked))
    assert discard_dead_loads(catalog, vectors) == ["left"]


def test_a_load_that_was_taken_for_dead_stops_and_touches_nothing(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    def lose(what: str, _done: int) -> None:
        if what == "points":
            with catalog.write() as connection:
                connection.execute(update(schema.loads).values(holder_host="another-host"))

    with pytest.raises(LeaseLost, match="ns_prod_store"):
        load(write_bundle(tmp_path / "in", sample()), catalog, vectors, NOW, lose)
    assert vectors.exists("ns_prod_store")  # it is the other's now
    assert rows(catalog) == {"loads": 1}


# ---- stores that fail ------------------------------------------------------------------------


class Failing(EmbeddedStore):
    """Fails on the first upsert, and on deletes while `down`."""

    down = False

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        super().upsert(collection, points[:1])
        raise StoreUnavailable("The store is down.")

    def delete(self, collection: str) -> None:
        if self.down:
            raise StoreUnavailable("The store is down.")
        super().delete(collection)


def test_a_store_that_fails_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    vectors = Failing.open(tmp_path / "qdrant")
    with pytest.raises(StoreUnavailable):
        load(write_bundle(tmp_path / "in", sample()), catalog, vectors, NOW)
    assert rows(catalog) == {}
    assert not vectors.exists("ns_prod_store")
    vectors.close()


def test_what_a_failing_store_kept_goes_with_the_next_load_of_a_living_process(
    catalog: Catalog, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "in", sample())
    failing = Failing.open(tmp_path / "qdrant")
    assert isinstance(failing, Failing)
    failing.down = True
    with pytest.raises(StoreUnavailable):
        load(folder, catalog, failing, NOW)
    assert rows(catalog) == {"loads": 1}
    with pytest.raises(StoreUnavailable):  # still down: the claim stays for the one after
        load(folder, catalog, failing, NOW)
    failing.close()
    vectors = EmbeddedStore.open(tmp_path / "qdrant")
    load(folder, catalog, vectors, NOW)
    assert vectors.count("ns_prod_store") == 4
    assert "loads" not in rows(catalog)
    vectors.close()
