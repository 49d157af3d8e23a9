"""How objects are copied: what is rewritten, what stays to the byte, and what was counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Text, cast, delete, insert, literal_column, select, text, update

from clone_pipeline.core.catalog.bulk import inserting, reading_beside
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import buckets, objects
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.records import may_hold
from clone_pipeline.core.records import objects as kind
from clone_pipeline.core.references import Rewriter
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair
from clone_pipeline.core.verify.records import merge_objects

from ... import harness
from ...sources import source
from ..bundle.samples import NOW, sample
from ..catalog.rows import add_bucket, add_namespace, add_organization

REFERS = '{"source_details":[{"type":"collection","source_id":"col_1"}],"price":1.10}'
UNCHANGED = {
    "plain": '{"price": 1.10, "big": 1e5, "title" : "\\u00e9\\u0000 ü 🎬"}',
    "spread out": '{\n\t"a":\t[1,\r\n 2], "back\\\\slash": "\\\\N \\t"}',
    "nothing refers": '{"source_details":[],"edges": null,"x":1.0}',
    "spaced": '{"source_details": [], "price": 2.50}',
    "in user data": '{"metadata":{"edges":[{"target_collection_id":"col_1"}],"n":3.10}}',
    "in a text": '{"title":"\\"edges\\" of \\"source_details\\":[]","n":0.10}',
    "outside the clone": '{"source_details":[{"type":"sync","source_id":"sync_1"}],"n":7.70}',
    "twice, with nothing": '{"source_details":[],"metadata":{"source_details":[]},"n":0.50}',
}
SOURCE = source(
    store="ns_prod000001",
    buckets=[{"bucket_id": "bkt_a"}, {"bucket_id": "bkt_b"}],
    collections=[{"collection_id": "col_1"}],
)


@pytest.fixture
def stores(catalog_url: str, tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(tmp_path, SOURCE, catalog_url=catalog_url) as stores:
        yield stores


def put(stores: Stores, texts: dict[str, str], bucket_id: str = "bkt_a") -> None:
    """Objects of the source whose documents are written exactly so."""
    with (
        stores.catalog.write() as connection,
        inserting(connection, objects, 1, kind._COLUMNS) as insert_rows,
    ):
        time = "2026-05-06 07:08:09.123456"
        insert_rows([(name, bucket_id, document, time, time) for name, document in texts.items()])


def written(stores: Stores, namespace_key: int) -> dict[str, str]:
    query = select(objects.c.object_id, cast(objects.c.document, Text))
    with stores.catalog.read() as connection:
        rows = connection.execute(query.where(objects.c.namespace_key == namespace_key)).all()
    return {row[0]: row[1] for row in rows}


def begin(stores: Stores) -> Clone:
    return harness.clone(stores, "prod", "copy", until="clone_buckets")


def copy(stores: Stores, clone: Clone) -> StepReport:
    run_id = str(clone.run_id)
    return run_step(stores, clone.clone_id, run_id, "clone_buckets", process_goes_on=True)


# Of many that refer PostgreSQL leaves everything to us, of few only those.
@pytest.mark.parametrize("refer", [0, 2, 40])
def test_documents_stay_to_the_byte_where_nothing_is_rewritten(stores: Stores, refer: int) -> None:
    put(stores, UNCHANGED | {f"refers {number}": REFERS for number in range(refer)})
    clone = begin(stores)
    report = copy(stores, clone)
    found = written(stores, clone.namespace_key)
    assert {name: found[name] for name in UNCHANGED} == UNCHANGED
    new = clone.plan["ids"]["ids"]["collection"]["col_1"]
    assert new != "col_1"
    for number in range(refer):
        document = json.loads(found[f"refers {number}"])
        details = [{"type": "collection", "source_id": new}]
        assert document == {"source_details": details, "price": 1.1}
    assert report.counts == {"buckets": 2, "objects": len(UNCHANGED) + refer}
    counted = {one["outcome"]: one["count"] for one in report.details["object_references"]}
    assert counted == ({"kept": 1, "rewritten": refer} if refer else {"kept": 1})


@pytest.mark.parametrize("refer", [0, 2, 40])
def test_the_digest_of_what_was_read_is_that_of_what_was_written(
    stores: Stores, refer: int
) -> None:
    put(stores, UNCHANGED | {f"refers {number}": REFERS for number in range(refer)})
    clone = begin(stores)
    report = copy(stores, clone)
    with stores.catalog.read() as connection:
        inside = kind.digest_target(connection, clone.namespace_key)
        rows = list(kind.read_target(connection, clone.namespace_key))
    assert inside == kind.digest_of(rows)
    assert report.shown["objects_digest"] == inside.to_json()
    sizes = sum(len(row[2].encode()) for row in rows)
    with stores.catalog.read() as connection:
        documents = connection.execute(
            select(cast(buckets.c.document, Text)).where(
                buckets.c.namespace_key == clone.namespace_key
            )
        ).scalars()
        assert report.bytes == sizes + sum(map(len, documents))


def test_times_are_copied_to_the_microsecond(stores: Stores) -> None:
    put(stores, {"plain": "{}", "refers": REFERS})
    clone = begin(stores)
    copy(stores, clone)
    query = select(objects.c.object_id, objects.c.created_at, objects.c.updated_at)
    with stores.catalog.read() as connection:
        by_key = [
            sorted(map(tuple, connection.execute(query.where(objects.c.namespace_key == key))))
            for key in (1, clone.namespace_key)
        ]
    assert by_key[0] == by_key[1]
    assert by_key[0][0][1].microsecond == 123456


@pytest.mark.parametrize("refer", [0, 40])
def test_objects_of_a_bucket_that_came_after_the_plan_are_no_part_of_the_clone(
    stores: Stores, refer: int
) -> None:
    put(stores, {"plain": "{}"} | {f"refers {number}": REFERS for number in range(refer)})
    clone = begin(stores)
    with stores.catalog.write() as connection:
        connection.execute(
            insert(buckets).values(
                namespace_key=1,
                bucket_id="bkt_late",
                bucket_name="late",
                document={},
                created_at=NOW,
                updated_at=NOW,
            )
        )
    put(stores, {"late": "{}", "late and refers": REFERS}, "bkt_late")
    assert copy(stores, clone).counts["objects"] == 1 + refer
    assert not written(stores, clone.namespace_key).keys() & {"late", "late and refers"}


def test_a_copy_that_is_interrupted_leaves_nothing_and_can_be_repeated(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(stores, {f"{number:04}": REFERS for number in range(1500)})
    clone = begin(stores)
    rewrite = Rewriter.rewrite_object
    done = 0

    def cancelled(self: Rewriter, document: dict[str, Any]) -> Any:
        nonlocal done
        done += 1
        if done == 1200:  # the first thousand is on its way into the database
            raise KeyboardInterrupt
        return rewrite(self, document)

    with monkeypatch.context() as patch:
        patch.setattr(Rewriter, "rewrite_object", cancelled)
        with pytest.raises(KeyboardInterrupt):
            copy(stores, clone)
    assert written(stores, clone.namespace_key) == {}
    assert copy(stores, clone).counts["objects"] == 1500
    assert len(written(stores, clone.namespace_key)) == 1500


def test_rows_that_the_database_refuses_end_the_copy_as_errors_of_the_catalog(
    stores: Stores,
) -> None:
    from sqlalchemy.exc import IntegrityError

    put(stores, {"one": "{}"})
    with pytest.raises(IntegrityError) as caught:
        put(stores, {"one": "{}"})
    assert "07:08:09" not in str(caught.value)  # statements are reported, values never
    with pytest.raises(IntegrityError):
        put(stores, {"two": "{}"}, "bkt_of_nobody")
    assert written(stores, 1).keys() == {"one"}


@pytest.mark.parametrize("document", [*UNCHANGED.values(), REFERS])
def test_postgresql_finds_at_least_what_we_would_find(stores: Stores, document: str) -> None:
    put(stores, {"one": document})
    if stores.catalog.is_sqlite:
        pytest.skip("SQLite is not asked")
    with stores.catalog.read() as connection:
        found = connection.execute(select(may_hold.sql_may_hold())).scalar_one()
    twice = document == UNCHANGED["twice, with nothing"]
    assert found is (may_hold.may_hold(document) or twice)


def test_a_reader_beside_a_writer_sees_what_the_writer_began_with(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        add_bucket(connection, add_namespace(connection))
    with catalog.write(snapshot=True) as writer:
        count = text("SELECT count(*) FROM buckets")
        assert writer.execute(count).scalar_one() == 1
        if not catalog.is_sqlite:  # nobody else can write there
            with catalog.write() as other:
                other.execute(delete(buckets))
        with reading_beside(catalog, writer) as reader:
            writer.execute(delete(buckets) if catalog.is_sqlite else text("SELECT 1"))
            assert reader.execute(count).scalar_one() == 1


@pytest.mark.parametrize(
    ("left", "right"), [("ace", "abd"), ("", "ab"), ("ab", ""), ("abc", "abc"), ("Zaé🎬", "Zbé")]
)
def test_two_sides_in_order_are_paired_by_id(left: str, right: str) -> None:
    found = [
        (before and before[0], after and after[0])
        for before, after in merge_objects(
            iter([(one, "b", "{}", "", "") for one in left]),
            iter([(one, "b", "{}") for one in right]),
        )
    ]
    assert found == [
        (one if one in left else None, one if one in right else None)
        for one in sorted({*left, *right})
    ]


def test_both_sides_come_in_the_order_of_code_points(stores: Stores) -> None:
    names = ["a", "B", "_", "é", "Z", "a-b", "aa", "🎬", "\uffee"]
    put(stores, dict.fromkeys(names, "{}"))
    if not stores.catalog.is_sqlite:  # as a database orders that was made for people
        with stores.catalog.write() as connection:
            statement = 'ALTER TABLE objects ALTER object_id TYPE varchar(255) COLLATE "und-x-icu"'
            connection.execute(text(statement))
    with stores.catalog.read() as connection:
        assert [row[0] for row in kind.read_target(connection, 1)] == sorted(names)


ESCAPED = [
    r'{"source\u005fdetails": [{"type": "bucket", "source_id": "bkt_a"}]}',
    r'{"\u0073ource_details": [{"type": "bucket", "source_id": "bkt_a"}]}',
    r'{"\u0065dges": [{"target_collection_id": "col_1"}], "source_details": []}',
    r'{"blobs": [{"presigne\u0064\u005Furl": "https://x.example/?X-Amz-Signature=1"}]}',
]


@pytest.mark.parametrize("written", ESCAPED)
def test_an_escaped_key_is_a_key_like_any_other(
    tmp_path: Path, catalog_url: str, written: str
) -> None:
    files = sample()
    plain = [{"object_id": f"o{number}", "bucket_id": "bkt_b"} for number in range(20)]
    files["objects.jsonl"] += plain
    with harness.holding(tmp_path, files, catalog_url=catalog_url) as stores:
        with stores.catalog.write() as connection:
            connection.execute(
                update(objects)
                .where(objects.c.object_id == "obj_1")
                .values(document=literal_column(f"'{written}'", Text))
            )
        made = harness.clone(stores, "prod", "copy")
        assert made.status == "ready"
        with stores.catalog.read() as connection:
            row = select(objects.c.document).where(
                objects.c.namespace_key == made.namespace_key, objects.c.object_id == "obj_1"
            )
            document = connection.execute(row).scalar_one()
        assert verify_pair(stores, None, "prod", "copy").equal
    shown = json.dumps(document)
    assert shown != json.dumps(json.loads(written))
    assert not any(old in shown for old in ('"bkt_a"', '"col_1"', "Signature"))
