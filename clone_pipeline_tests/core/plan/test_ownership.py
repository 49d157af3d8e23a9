"""What belongs to an organization, or to one namespace alone, is in no clone of it elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.model import namespace_model
from clone_pipeline.core.errors import DanglingReferences
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.plan.dry_run import plan_for
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests import harness
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.core.bundle.samples import read_bundle
from clone_pipeline_tests.sources import one_of_each, source

OTHER = "org_other"
ABROAD = {"include_resources": harness.everything(), "organization_id": OTHER}
KEPT_IDS = ABROAD | {"preserve_resource_ids": True}
CANARIES = 1_000

Json = dict[str, Any]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other organization, with a namespace of its own."""
    home = tmp_path_factory.mktemp("other")
    theirs = {"organization_id": OTHER, "namespace_id": "ns_other00001", "namespace_name": "other"}
    with harness.holding(home, source(theirs)):
        pass
    return home


@pytest.fixture
def stores(empty: Path, tmp_path: Path) -> Iterator[Stores]:
    shutil.copytree(empty, tmp_path / "home")
    with harness.open_stores(tmp_path / "home") as stores:
        yield stores


def dumped(stores: Stores, name: str, tmp_path: Path) -> Json:
    return read_bundle(harness.dump(stores, name, tmp_path / f"dump of {name}"))


def plan(stores: Stores, identifier: str, name: str, **options: Any) -> Json:
    values = {"namespace_identifier": identifier, "namespace_name": name, **options}
    return plan_for(stores, parse_request(values), LOCAL_OPERATOR)


def outcomes(clone: Clone, resource: str) -> dict[str, str]:
    return {
        one["path"]: one["outcome"]
        for one in clone.plan["references"]
        if one["resource"] == resource
    }


# ---- secrets ---------------------------------------------------------------------------------


def rows_of(stores: Stores, clone: Clone) -> str:
    """Every row of the catalog that is the clone's, or that its organization can read."""
    found = []
    with stores.catalog.read() as connection:
        keys = {
            "namespace_key": clone.namespace_key,
            "clone_id": clone.clone_id,
            "organization_id": OTHER,
        }
        inspector = inspect(connection)
        for table in inspector.get_table_names():
            columns = {column["name"] for column in inspector.get_columns(table)}
            for column, value in keys.items():
                if column in columns:
                    query = text(f"SELECT * FROM {table} WHERE {column} = :value")
                    found += [repr(row) for row in connection.execute(query, {"value": value})]
    return "\n".join(found)


@pytest.mark.outside
def test_no_secret_reaches_another_organization(stores: Stores, tmp_path: Path) -> None:
    files, names = planted_files(CANARIES)
    harness.load(stores, files)
    asked = plan(stores, "prod", "copy", **ABROAD)
    clone = harness.clone(stores, "prod", "copy", **ABROAD)
    with stores.vectors() as vectors:
        config = vectors.read_config(str(clone.qdrant_collection))
        points = [point.payload for point in vectors.read(str(clone.qdrant_collection), 9).points]
    everywhere = rows_of(stores, clone)
    assert "collection 1" in everywhere
    assert "CANARY" not in everywhere + repr(config) + repr(points) + json.dumps(asked)
    assert "CANARY" not in json.dumps(dumped(stores, "copy", tmp_path))
    original = json.dumps(dumped(stores, "prod", tmp_path))
    assert all(name in original for name in names)
    assert verify_sealed(stores, None, "copy").good
    assert verify_pair(stores, None, "prod", "copy").equal
    by_hand = {entry["removed"] for entry in asked["by_hand"]}
    assert {"infrastructure.qdrant_api_key", "source_adapter.webhook_secret"} <= by_hand
    assert asked["secrets"]["cleared"] == len(asked["by_hand"]) > 900
    assert all(entry["parked"] == "was set" for entry in clone.parked)
    assert any("secrets do not go to another organization" in one for one in asked["warnings"])


def test_within_the_organization_secrets_are_copied_and_counted(
    stores: Stores, tmp_path: Path
) -> None:
    parameters = {"llm_api_key": "sk-abc", "headers": {"X-Team": "abc"}}
    files = one_of_each(
        collection={"feature_extractor": {"parameters": parameters}},
        retriever={"stages": [{"config": {"parameters": {"api_key": "{{SECRET.a}}"}}}]},
        bucket={"metadata": {"note": "{{ secrets['b'] }} and {{SECRET.c}}"}},
    )
    harness.load(stores, files)
    clone = harness.clone(stores, "prod", "copy", include_resources=harness.everything())
    copied = dumped(stores, "copy", tmp_path)["collections.jsonl"][0]["feature_extractor"]
    assert copied == {"parameters": parameters}
    assert clone.plan["secrets"] == {"copied": 2, "cleared": 0}
    assert "sk-abc" not in json.dumps(clone.plan)
    asked_for = [
        one["old"] for one in clone.plan["references"] if one["target"] == "organization secret"
    ]
    assert sorted(asked_for) == ["a", "b", "c"]


def test_a_plan_of_a_clone_says_nothing_of_what_it_was_cleared_from(
    stores: Stores, tmp_path: Path
) -> None:
    files = one_of_each(
        namespace={
            "infrastructure": {
                "ray_head_node_url": "ray://head.acme.example:10001",
                "authorization": {"api_url": "https://fga.acme.example"},
            },
            "storage": {"connection_id": "conn_acme"},
        },
        collection={
            "source": {"source_namespace_id": "ns_acme_third", "bucket_ids": ["bkt_third"]}
        },
        bucket={"destination": {"connection_id": "conn_acme"}},
    )
    harness.load(stores, files)
    clone = harness.clone(stores, "prod", "backup", **KEPT_IDS)
    read = plan(stores, "backup", "again", **KEPT_IDS)
    assert {entry["removed"] for entry in read["cleared_before"]} >= {"storage", "destination"}
    for said in (json.dumps(read), json.dumps(clone.parked), json.dumps(clone.plan["references"])):
        for word in ("acme.example", "conn_acme", "ns_acme_third", "bkt_third"):
            assert word not in said


def test_a_login_in_an_address_is_shown_to_nobody(stores: Stores, tmp_path: Path) -> None:
    address = "ray://app:hunter2@head:10001"
    harness.load(stores, one_of_each(namespace={"infrastructure": {"ray_head_node_url": address}}))
    shown = plan(stores, "prod", "copy")
    assert "ray://head:10001" in json.dumps(shown)
    clone = harness.clone(stores, "prod", "copy")
    assert "hunter2" not in json.dumps([shown, clone.plan])
    with stores.catalog.read() as connection:
        assert "hunter2" not in str(namespace_model(connection, catalog.by_key(connection, 2)))


# ---- what belongs to the organization ----------------------------------------------------------


AUTHORIZATION = {"enabled": True, "api_url": "https://fga", "api_token_secret_ref": "fga_token"}
ISSUER = {"issuer": "https://login", "collections": ["col_1"], "retrievers": ["ret_1"]}
THIRD = {"type": "bucket", "source_namespace_id": "ns_third", "bucket_ids": ["bkt_1", "bkt_2"]}


def organization_files() -> Json:
    searches = [{"feature_uri": "ns_third://col_x/embedding"}, {"feature_uri": "mixpeek://e@v1/x"}]
    stages = [{"config": {"parameters": {"searches": searches, "namespace_id": "ns_third"}}}]
    return one_of_each(
        namespace={
            "infrastructure": {"authorization": AUTHORIZATION, "s3_vector_bucket": "acme-vectors"},
            "trusted_issuers": [ISSUER],
        },
        collection={"source": THIRD, "source_bucket_schemas": {"bkt_1": {}}},
        retriever={"stages": stages},
    )


def test_what_belongs_to_the_organization_goes_whole_or_stays_whole(
    stores: Stores, tmp_path: Path
) -> None:
    harness.load(stores, organization_files())
    harness.clone(stores, "prod", "home", include_resources=harness.everything())
    home = dumped(stores, "home", tmp_path)["namespace.json"]
    assert home["infrastructure"]["authorization"] == AUTHORIZATION
    assert home["trusted_issuers"][0]["issuer"] == ISSUER["issuer"]
    clone = harness.clone(stores, "prod", "abroad", **ABROAD)
    abroad = dumped(stores, "abroad", tmp_path)["namespace.json"]
    assert abroad["infrastructure"]["authorization"] is None
    assert abroad["infrastructure"]["s3_vector_bucket"] is None
    assert abroad["trusted_issuers"] == []
    assert outcomes(clone, "namespace") == {
        "infrastructure.authorization": "cleared",
        "infrastructure.s3_vector_bucket": "cleared",
        "trusted_issuers[0]": "cleared",
    }


def test_another_namespace_of_the_organization_is_out_of_reach_from_abroad(
    stores: Stores, tmp_path: Path
) -> None:
    harness.load(stores, organization_files())
    clone = harness.clone(stores, "prod", "abroad", **ABROAD)
    files = dumped(stores, "abroad", tmp_path)
    nothing = {"type": "bucket", "source_namespace_id": None, "bucket_ids": None}
    assert files["collections.jsonl"][0]["source"] == nothing
    assert files["collections.jsonl"][0]["source_bucket_schemas"] == {}
    parameters = files["retrievers.jsonl"][0]["stages"][0]["config"]["parameters"]
    assert parameters["namespace_id"] is None
    assert [one["feature_uri"] for one in parameters["searches"]] == [None, "mixpeek://e@v1/x"]
    assert set(outcomes(clone, "collection").values()) == {"cleared"}
    here = harness.clone(stores, "prod", "here", include_resources=harness.everything())
    assert set(outcomes(here, "collection").values()) == {"kept"}


@pytest.mark.parametrize(
    "part",
    [
        {"collection": {"source": THIRD}},
        {"retriever": {"stages": [{"config": {"parameters": {"feature_uri": "ns_x://c/e"}}}]}},
    ],
)
def test_a_reference_to_another_namespace_is_refused_where_that_is_asked_for(
    part: Json, stores: Stores, tmp_path: Path
) -> None:
    harness.load(stores, one_of_each(**part))
    request = {"namespace_identifier": "prod", "namespace_name": "x", "on_dangling": "fail"}
    with pytest.raises(DanglingReferences):
        dry_run.plan(stores, parse_request(request | ABROAD), LOCAL_OPERATOR)
    assert dry_run.plan(stores, parse_request(request), LOCAL_OPERATOR)


# ---- what acts ---------------------------------------------------------------------------------


ACTS = {
    "namespace": {
        "scope": "system",
        "namespace_type": "marketplace",
        "pinned": {"enabled": True},
        "spend_budget": {"daily_usd": 500},
        "tiering": {"enabled": True, "exempt": "legal hold"},
        "budget": {"spent": 3},
        "cluster_id": "iclstr_1",
        "infrastructure": {"compute_tier": "dedicated_cpu", "ray_head_node_url": "ray://prod"},
    },
    "bucket": {"destination": {"connection_id": "conn_1", "prefix": "out/"}},
    "retriever": {
        "visibility": "public",
        "requires_subscription": True,
        "display_config": {"seo": {"canonical_url": "https://pages/prod", "robots": "index"}},
    },
}


def test_a_copy_of_a_namespace_that_acts_does_not_and_a_restored_one_does(
    stores: Stores, tmp_path: Path
) -> None:
    harness.load(stores, one_of_each(**ACTS))
    everything = {"include_resources": harness.everything()}
    keeping = everything | {"preserve_resource_ids": True}
    clone = harness.clone(stores, "prod", "backup", **keeping)
    files = dumped(stores, "backup", tmp_path)
    own, bucket = files["namespace.json"], files["buckets.jsonl"][0]
    assert (own["scope"], own["namespace_type"]) == ("org", "standard")
    assert (own["pinned"], own["spend_budget"], own["cluster_id"]) == (None, None, None)
    assert own["tiering"] == {"enabled": True, "exempt": None}
    assert "budget" not in own
    assert own["infrastructure"]["compute_tier"] == "shared"
    assert own["infrastructure"]["ray_head_node_url"] is None
    assert bucket["destination"] is None
    retriever = files["retrievers.jsonl"][0]
    assert (retriever["visibility"], retriever["requires_subscription"]) == ("private", False)
    assert retriever["display_config"]["seo"] == {"canonical_url": None, "robots": "index"}
    assert {one["reason"] for one in clone.plan["references"] if one["outcome"] == "cleared"} == {
        "acts or belongs to the source alone, and never comes over"
    }
    harness.clone(stores, "backup", "again", **keeping, restore=True)
    again = dumped(stores, "again", tmp_path)
    for file, kind in (("namespace.json", "namespace"), ("buckets.jsonl", "bucket")):
        document = again[file] if kind == "namespace" else again[file][0]
        wanted = {**ACTS[kind]}
        wanted.pop("budget", None)
        infrastructure = wanted.pop("infrastructure", {})
        assert document.items() >= wanted.items()
        assert document.get("infrastructure", {}).items() >= infrastructure.items()
    assert again["retrievers.jsonl"][0].items() >= ACTS["retriever"].items()
    assert verify_pair(stores, None, "backup", "again").equal


def test_the_warning_of_shared_files_names_both_directions_and_needs_an_object(
    stores: Stores, tmp_path: Path
) -> None:
    harness.load(stores, one_of_each())
    assert not any("S3" in one for one in plan(stores, "prod", "copy")["warnings"])
    files = one_of_each(namespace={"namespace_id": "ns_prod000002", "namespace_name": "files"})
    files["objects.jsonl"] = [{"object_id": "obj_1", "bucket_id": "bkt_1"}]
    harness.load(stores, files)
    (warning,) = [one for one in plan(stores, "files", "copy")["warnings"] if "S3" in one]
    assert "deletes them for the clone" in warning
    assert "delete of the clone, its buckets or objects may delete them for the source" in warning
