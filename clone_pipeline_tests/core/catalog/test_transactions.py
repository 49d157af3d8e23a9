"""What `read()` and `write()` promise, and the rules that the database itself keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Text, cast, delete, func, select, text, type_coerce
from sqlalchemy.exc import IntegrityError

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog

from .rows import add_bucket, add_namespace, add_object, add_organization


def _count(connection: Connection, table: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_read_does_not_see_what_is_written_meanwhile(catalog: Catalog) -> None:
    with catalog.read() as reader:
        assert _count(reader, schema.organizations) == 0
        with catalog.write() as writer:
            add_organization(writer)
            add_namespace(writer)
        assert _count(reader, schema.organizations) == 0
        # Also of a table that it had not looked at before.
        assert _count(reader, schema.namespaces) == 0
    with catalog.read() as reader:
        assert _count(reader, schema.namespaces) == 1


def test_a_write_that_fails_half_way_leaves_nothing(catalog: Catalog) -> None:
    class Stop(Exception):
        pass

    def write_half() -> None:
        with catalog.write() as connection:
            add_organization(connection)
            add_bucket(connection, add_namespace(connection))
            raise Stop

    with pytest.raises(Stop):
        write_half()
    with catalog.read() as connection:
        assert _count(connection, schema.organizations) == 0
        assert _count(connection, schema.buckets) == 0


def test_sqlite_keeps_a_log_ahead_of_the_data(sqlite_url: str) -> None:
    catalog = Catalog.open(sqlite_url)
    try:
        with catalog.read() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
    finally:
        catalog.close()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, {"namespace_id": "ns_two", "generation": 2}, id="live name"),
        pytest.param({}, {"namespace_name": "two", "generation": 2}, id="live id"),
        pytest.param(
            {"role": "next"},
            {"role": "next", "namespace_id": "ns_two", "generation": 2},
            id="next name",
        ),
        pytest.param({}, {"role": "previous"}, id="generation of an id"),
    ],
)
def test_two_namespaces_cannot_share_a(
    catalog: Catalog, first: dict[str, Any], second: dict[str, Any]
) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        add_namespace(connection, **first)

    def write_second() -> None:
        with catalog.write() as connection:
            add_namespace(connection, **second)

    with pytest.raises(IntegrityError):
        write_second()


def test_generations_of_a_namespace_stand_beside_each_other(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        add_organization(connection, "org_b")
        for generation, role in enumerate(("previous", "previous", "live", "next"), start=1):
            add_namespace(connection, generation=generation, role=role)
        add_namespace(connection, organization_id="org_b", namespace_id="ns_b")
        assert _count(connection, schema.namespaces) == 5


def test_deleting_a_generation_takes_its_records_and_no_others(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        keys = [
            add_namespace(connection, generation=number, role=role)
            for number, role in ((1, "previous"), (2, "live"))
        ]
        for key in keys:
            add_bucket(connection, key)
            add_object(connection, key)
    with catalog.write() as connection:
        connection.execute(
            delete(schema.namespaces).where(schema.namespaces.c.namespace_key == keys[0])
        )
    with catalog.read() as connection:
        assert connection.scalars(select(schema.buckets.c.namespace_key)).all() == [keys[1]]
        assert connection.scalars(select(schema.objects.c.namespace_key)).all() == [keys[1]]


def test_an_object_needs_its_bucket_in_the_same_namespace(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        with_bucket = add_namespace(connection)
        without = add_namespace(connection, namespace_id="ns_two", namespace_name="two")
        add_bucket(connection, with_bucket)

    def write_orphan() -> None:
        with catalog.write() as connection:
            add_object(connection, without)

    with pytest.raises(IntegrityError):
        write_orphan()


_AWKWARD = {
    "z": 1,
    "a": 1.0,
    "key order": {"b": None, "a": True},
    "nul": "a\u0000b",
    "lone surrogate": "\ud83d",
    "emoji and escapes": '\U0001f600 "\\/\n\t\u2028',
    "big": 123456789012345678901234567890,
    "negative zero": -0.0,
    "small": 5e-324,
    "large": 1.7976931348623157e308,
    "exact": 0.1,
    "": [],
    "nested": [[], {}, [{"": ""}]],
    "looks like null": "null",
}


def test_documents_come_back_as_they_went_in(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        add_bucket(connection, add_namespace(connection), document=_AWKWARD)
    with catalog.read() as connection:
        document = schema.buckets.c.document
        value = connection.execute(select(document)).scalar_one()
        # Digests and set-wise copies work on the text, so it must be ours to the byte.
        stored = cast(type_coerce(document, Text), Text)
        written = connection.execute(select(stored)).scalar_one()
    expected = json.dumps(_AWKWARD, separators=(",", ":"))
    assert json.dumps(value, separators=(",", ":")) == expected
    assert written == expected


def test_an_empty_json_value_is_not_a_missing_one(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        add_namespace(connection, qdrant_config=None)
    with catalog.read() as connection:
        assert connection.execute(select(schema.namespaces.c.qdrant_config)).scalar_one() is None
