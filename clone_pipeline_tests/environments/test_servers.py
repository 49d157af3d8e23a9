"""Between two deployments on servers, of which the source's stores admit nothing but reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify.again import verify_pair

from .. import harness
from ..core.bundle.samples import read_bundle
from ..properties.namespaces import everything
from ..properties.test_clones import check_clone
from ..sources import ID, ORGANIZATION, one_of_each
from .servers import PRODUCTION, WRITING, Between, between, databases, qdrants, two_on_servers
from .two import STAGING, Known

__all__ = ["between", "databases", "qdrants"]  # fixtures

pytestmark = pytest.mark.outside

COLLECTION = ID
EVERYTHING = {"collections": True, "retrievers": True, "taxonomies": True}


def test_all_that_there_is_comes_over_with_keys_that_only_read(
    between: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All places are compared with the oracle's, of which the report lists the first.
    monkeypatch.setattr("clone_pipeline.core.references.unlisted.LISTED", 1000)
    source = everything()
    written = source.write(tmp_path / "source")
    with between(written) as (there, here):
        check_clone(
            here,
            tmp_path,
            source,
            source_in=there,
            include_resources=EVERYTHING,
            source_environment=PRODUCTION,
        )


def test_a_refresh_follows_its_source_and_is_rolled_back(between: Between) -> None:
    with between(one_of_each()) as (there, here):
        options = {"source_environment": PRODUCTION, "if_exists": "replace"}
        first = harness.clone(here, "prod", "staging", **options)
        with there.vectors() as vectors:
            [point] = vectors.scroll(COLLECTION, 1).points
            vectors.upsert(COLLECTION, [point._replace(payload={**point.payload, "new": 1})])
        assert not verify_pair(here, ORGANIZATION, "prod", "staging").equal
        second = harness.clone(here, "prod", "staging", **options)
        assert verify_pair(here, ORGANIZATION, "prod", "staging").equal
        rollback(here, ORGANIZATION, "staging")
        with here.catalog.read() as connection:
            now = namespaces.resolve(connection, ORGANIZATION, "staging")
    assert first.namespace_key != second.namespace_key
    assert now.clone_id == first.clone_id


def test_a_backup_in_another_environment_restores_into_the_first_one(
    between: Between, tmp_path: Path
) -> None:
    bucket = {"source_adapter": {"connection_id": "conn_1", "webhook_secret": "hush"}}
    source = one_of_each(bucket=bucket)
    with between(source) as (there, here):
        kept = {"include_resources": EVERYTHING, "preserve_resource_ids": True}
        harness.clone(here, "prod", "kept", source_environment=PRODUCTION, **kept)
        with there.vectors() as vectors:
            vectors.delete(COLLECTION)
        with there.catalog.write() as connection:
            connection.execute(delete(schema.namespaces))
        home_again = replace(there, elsewhere=Known(STAGING, here))
        back = harness.clone(
            home_again, "kept", "prod", source_environment=STAGING, restore=True, **kept
        )
        files = read_bundle(harness.dump(home_again, "prod", tmp_path / "back"))
    assert files["namespace.json"]["namespace_id"] == COLLECTION
    # What belongs to the organization is at home again; the secret never left it.
    [adapter] = [one["source_adapter"] for one in files["buckets.jsonl"]]
    assert (adapter["connection_id"], adapter.get("webhook_secret")) == ("conn_1", None)
    assert [one["removed"] for one in back.plan["by_hand"]] == ["source_adapter.webhook_secret"]


NATIVE = {"preserve_resource_ids": True, "include_resources": EVERYTHING}


def test_points_go_from_qdrant_to_qdrant_where_the_key_is_to_be_handed_over(
    between: Between,
) -> None:
    key = ("api_key", WRITING)
    with between(one_of_each(), qdrant_key=key) as (there, here):
        _same_internal_ids(there, here)
        options = {"source_environment": PRODUCTION, **NATIVE}
        streamed = harness.clone(here, "prod", "one", **options)
        assert streamed.plan["lane"] == "stream"
        assert "would be given the source's key" in streamed.plan["lane_reason"]
        made = harness.clone(here, "prod", "two", lane="native", **options)
        assert any("is given the key" in warning for warning in made.plan["warnings"])
        with here.catalog.read() as connection:
            report = ledger.read_reports(connection, made.clone_id)["copy_points"]
        assert report.details == {
            "lane": "native",
            "transport": "from Qdrant to Qdrant",
            "shards": 1,
            "relayed_because": None,
        }
        assert verify_pair(here, ORGANIZATION, "prod", "two").equal


def test_a_key_that_only_reads_is_none_for_the_native_lane(between: Between) -> None:
    with between(one_of_each()) as (there, here):
        _same_internal_ids(there, here)
        with pytest.raises(InvalidRequest, match="only to a key that may write"):
            harness.clone(here, "prod", "a", lane="native", source_environment=PRODUCTION, **NATIVE)


def _same_internal_ids(there: Stores, here: Stores) -> None:
    """Else payloads would keep those of another organization."""
    with there.catalog.read() as connection:
        [internal] = connection.execute(select(schema.organizations.c.internal_id)).scalars()
    with here.catalog.write() as connection:
        connection.execute(update(schema.organizations).values(internal_id=internal))


def test_one_qdrant_under_two_names_is_refused(
    tmp_path: Path,
    databases: tuple[str, str, str],
    qdrants: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # By another name of the host, which no comparison of addresses would notice.
    other_name = qdrants[0].replace("127.0.0.1", "localhost")
    same = (qdrants[0], other_name)
    with two_on_servers(tmp_path, databases, same, monkeypatch, one_of_each()) as (_, here):
        with pytest.raises(InvalidRequest, match="have the same Qdrant"):
            harness.clone(here, "prod", "copy", source_environment=PRODUCTION)
        with here.catalog.read() as connection:
            assert namespaces.list_all(connection, None) == []


def test_one_catalog_under_two_names_is_refused(
    tmp_path: Path,
    databases: tuple[str, str, str],
    qdrants: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = (databases[0], databases[1], databases[0].replace("127.0.0.1", "localhost"))
    with two_on_servers(tmp_path, same, qdrants, monkeypatch, one_of_each()) as (_, here):
        with pytest.raises(InvalidRequest, match="have the same catalog"):
            harness.clone(here, "prod", "copy", source_environment=PRODUCTION)
