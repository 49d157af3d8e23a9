"""What goes in by `load` comes out by `dump`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from clone_pipeline.core.bundle import dump, load
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests.sources import write_bundle

from .samples import NOW, exact, namespace_key, read_bundle, rows, sample, single


def round_trip(
    files: dict[str, Any], catalog: Catalog, vectors: EmbeddedStore, folder: Path
) -> dict[str, Any]:
    load(write_bundle(folder / "in", files), catalog, vectors, NOW)
    dump(catalog, vectors, namespace_key(catalog), folder / "out")
    return read_bundle(folder / "out")


def test_dump_gives_back_every_document(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    files = sample()
    again = round_trip(files, catalog, vectors, tmp_path)
    assert sorted(again) == sorted(files)
    assert single(again.pop("points.jsonl")) == single(files.pop("points.jsonl"))
    for name, documents in files.items():
        assert exact(again[name]) == exact(documents), name


def test_payloads_keep_their_types(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    files = sample()
    again = round_trip(files, catalog, vectors, tmp_path)
    payloads = [[point["payload"] for point in given["points.jsonl"]] for given in (files, again)]
    assert exact(payloads[0]) == exact(payloads[1])


def test_a_second_round_is_the_same_byte_for_byte(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    round_trip(sample(), catalog, vectors, tmp_path)
    with catalog.write() as connection:
        connection.execute(schema.namespaces.delete())
    vectors.delete("ns_prod_store")
    load(tmp_path / "out", catalog, vectors, NOW)
    dump(catalog, vectors, namespace_key(catalog), tmp_path / "again")
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_load_reports_and_counts_what_it_wrote(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []
    report = load(
        write_bundle(tmp_path / "in", sample()),
        catalog,
        vectors,
        NOW,
        lambda what, done: seen.append((what, done)),
    )
    assert (report.organization_id, report.namespace_id, report.namespace_name) == (
        "org_acme",
        "ns_prod000001",
        "prod",
    )
    assert report.counts == {
        "buckets": 2,
        "objects": 3,
        "collections": 1,
        "retrievers": 1,
        "taxonomies": 2,
        "points": 4,
    }
    assert ("points", 4) in seen
    assert ("objects", 3) in seen
    assert vectors.count("ns_prod_store") == 4
    assert dump(catalog, vectors, namespace_key(catalog), tmp_path / "out") == report.counts


def test_rows_have_times_organization_and_configuration(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    files = sample()
    load(write_bundle(tmp_path / "in", files), catalog, vectors, NOW)
    with catalog.read() as connection:
        organization = connection.execute(select(schema.organizations)).mappings().one()
        namespace = connection.execute(select(schema.namespaces)).mappings().one()
        buckets = connection.execute(
            select(schema.buckets).order_by(schema.buckets.c.bucket_id)
        ).mappings()
        created = [row["created_at"].isoformat() for row in buckets]
    assert organization["internal_id"] == organization["organization_id"] == "org_acme"
    assert (namespace["role"], namespace["generation"], namespace["qdrant_url"]) == (
        "live",
        1,
        None,
    )
    assert namespace["clone_status"] is None
    assert namespace["qdrant_config"] == files["qdrant.json"]
    assert "organization_id" not in namespace["document"]
    assert created == [NOW.isoformat(), "2026-01-02T03:04:05+00:00"]
    assert "loads" not in rows(catalog)


def test_a_bundle_may_be_nothing_but_a_namespace(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    document = {"organization_id": "o", "namespace_id": "ns_bare", "namespace_name": "bare"}
    again = round_trip({"namespace.json": document}, catalog, vectors, tmp_path)
    stored_in = {"infrastructure": {"qdrant_collection": "ns_bare"}}
    assert again.pop("namespace.json") == document | stored_in
    assert again.pop("qdrant.json") == {
        "vectors": {},
        "sparse_vectors": {},
        "payload_schema": {},
    }
    assert set(map(str, again.values())) == {"[]"}
    assert vectors.count("ns_bare") == 0


@pytest.mark.parametrize("short", [True, False])
def test_an_unnamed_vector_has_the_empty_name(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path, short: bool
) -> None:
    params = {"size": 2, "distance": "Euclid"}
    files = sample() | {
        "qdrant.json": {"vectors": params if short else {"": params}},
        "points.jsonl": [{"id": 1, "vector": {"": [0.5, 0.25]}, "payload": {}}],
    }
    again = round_trip(files, catalog, vectors, tmp_path)
    assert again["points.jsonl"] == files["points.jsonl"]
    assert again["qdrant.json"] == {"vectors": {"": params}}


def test_blank_lines_and_a_missing_last_line_feed_are_no_mistake(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    first = '{"bucket_id": "bkt_a", "bucket_name": "a"}'
    second = '{"bucket_id": "bkt_b", "bucket_name": "b"}'
    files = sample() | {"buckets.jsonl": f"\n{first}\r\n \t\n{second}"}
    again = round_trip(files, catalog, vectors, tmp_path)
    assert [bucket["bucket_name"] for bucket in again["buckets.jsonl"]] == ["a", "b"]


def test_a_taxonomy_without_a_version_is_version_one(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    taxonomy = {"taxonomy_id": "tax_1", "taxonomy_name": "kinds"}
    again = round_trip(sample() | {"taxonomies.jsonl": [taxonomy]}, catalog, vectors, tmp_path)
    assert again["taxonomies.jsonl"] == [taxonomy | {"version": 1}]


def test_counts_of_the_document_are_put_right_where_it_has_them(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path
) -> None:
    files = sample()
    files["namespace.json"] |= {"document_count": 99, "object_count": None, "bucket_count": 0}
    again = round_trip(files, catalog, vectors, tmp_path)["namespace.json"]
    assert (again["document_count"], again["object_count"], again["bucket_count"]) == (4, 3, 2)
    assert "collection_count" not in again


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000+00:00"),
        ("2026-01-02T03:04:05.123456789+02:00", "2026-01-02T01:04:05.123456+00:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999+00:00"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+00:00"),
        (None, NOW.isoformat()),
    ],
)
def test_a_time_is_a_column_too_and_stays_as_it_was_written(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path, written: object, kept: str
) -> None:
    bucket = {"bucket_id": "b", "bucket_name": "b", "created_at": written}
    files = sample() | {"buckets.jsonl": [bucket], "objects.jsonl": []}
    assert round_trip(files, catalog, vectors, tmp_path)["buckets.jsonl"] == [bucket]
    with catalog.read() as connection:
        column = connection.execute(select(schema.buckets.c.created_at)).scalar_one()
    assert column.isoformat() == kept
