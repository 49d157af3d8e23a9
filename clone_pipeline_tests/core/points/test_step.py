"""What the step `copy_points` says of how the points went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.errors import WorkError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors import native
from clone_pipeline.core.verify import verify_pair
from clone_pipeline_tests import harness
from clone_pipeline_tests.faults.bundles import NAMESPACE, small_namespace


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    """A source on a real server whose points name no namespace: nothing of them has to change."""
    files = small_namespace(points=20, objects=3)
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": "source_of_a_report"}
    for point in files["points.jsonl"]:
        del point["payload"]["_internal"]["namespace_id"]
    where = VectorAddress(tmp_path / "qdrant", qdrant_url)
    with harness.open_stores(tmp_path, vector_address=where) as stores:
        assert harness.load(stores, files) == NAMESPACE
        yield stores
        with stores.vectors() as vectors:
            vectors.delete("source_of_a_report")


def details(stores: Stores) -> dict[str, Any]:
    made = harness.clone(stores, NAMESPACE, "copy", preserve_resource_ids=True)
    with stores.catalog.read() as connection:
        report = ledger.read_reports(connection, made.clone_id)["copy_points"]
    with stores.vectors() as vectors:
        vectors.delete(made.qdrant_collection)
    assert report.counts == {"points": 20}
    return report.details


def test_a_native_copy_says_how_many_shards_the_server_pulled(stores: Stores) -> None:
    told = details(stores)
    assert told == {
        "lane": "native",
        "transport": "inside Qdrant",
        "shards": 1,
        "relayed_because": None,
    }


def test_a_native_copy_says_why_it_went_through_us(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: native._Copy, shard: int) -> None:
        raise WorkError("It may not pull.")

    monkeypatch.setattr(native._Copy, "_pull", refused)
    assert details(stores)["relayed_because"] == "It may not pull."


def test_an_embedded_collection_has_no_shard_keys_whatever_was_asked(tmp_path: Path) -> None:
    """Its configuration may say so: that of a server, of which a clone was made without points."""
    files = small_namespace(points=20, objects=3)
    with harness.holding(tmp_path / "home", files) as stores:
        with stores.catalog.write() as connection:
            config = files["qdrant.json"] | {"sharding_method": "custom"}
            config["shard_keys"] = [{"shard_key": "a", "shards_number": 1}]
            connection.execute(update(namespaces).values(qdrant_config=config))
        made = harness.clone(stores, NAMESPACE, "copy")
        assert (made.status, made.points) == ("ready", 20)
        assert verify_pair(stores, None, NAMESPACE, "copy").equal
        folder = harness.dump(stores, NAMESPACE, tmp_path / "bundle")
    with harness.holding(tmp_path / "other") as other:
        assert harness.load_report(other, folder).counts["points"] == 20
