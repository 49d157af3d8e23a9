"""A row that another service has spoilt is named, and is the only thing that stops working."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.model import namespace_model
from clone_pipeline.core.catalog.namespace import UNREADABLE
from clone_pipeline.core.depth import MAX_DEPTH
from clone_pipeline.core.errors import UnreadableRecord
from clone_pipeline.core.generations.sweep import plan_sweep
from clone_pipeline.core.stores import Stores

from ... import harness
from ..bundle.samples import sample

ON_BOTH = {
    "list": "[]",
    "number": "5",
    "null": "null",
    "text": '"text"',
    "too deep": '{"a": ' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
    "bottomless": '{"a": ' * 3000 + "1" + "}" * 3000,
}
ON_SQLITE = {"cut off": '{"a": ', "not JSON": "{'a': 1}", "NaN": '{"a": NaN}', "empty": ""}


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    """`prod`, and `bad`, which is to be spoilt."""
    with harness.open_stores(tmp_path, catalog_url) as stores:
        for name in ("prod", "bad"):
            files = sample()
            files["namespace.json"] |= {
                "namespace_id": f"ns_{name}",
                "namespace_name": name,
                "infrastructure": None,
            }
            harness.load(stores, files)
        yield stores


def spoil(stores: Stores, table: str, column: str, value: object) -> None:
    cast = "" if stores.catalog.is_sqlite else f"::{'json' if 'at' not in column else 'timestamp'}"
    statement = (
        f"UPDATE {table} SET {column} = (:value){cast} WHERE namespace_key = "
        "(SELECT namespace_key FROM namespaces WHERE namespace_name = 'bad')"
    )
    with stores.catalog.write() as connection:
        connection.execute(text(statement), {"value": value})


def check_others_work(stores: Stores) -> None:
    with stores.catalog.read() as connection:
        listed = namespaces.list_all(connection, None)
        shown = {one.name: namespace_model(connection, one) for one in listed}
    assert list(shown) == ["bad", "prod"]
    assert shown["bad"][UNREADABLE]
    assert not shown["bad"]["namespace_ready"]
    assert UNREADABLE not in shown["prod"]
    assert plan_sweep(stores, None, {}).removals == []


@pytest.mark.parametrize("value", [*ON_BOTH, *ON_SQLITE])
def test_a_namespace_that_cannot_be_read_is_named_and_the_others_go_on(
    stores: Stores, value: str
) -> None:
    if value in ON_SQLITE and not stores.catalog.is_sqlite:
        pytest.skip("PostgreSQL keeps no such JSON")
    spoil(stores, "namespaces", "document", (ON_BOTH | ON_SQLITE)[value])
    check_others_work(stores)
    with pytest.raises(UnreadableRecord, match="The namespace 'ns_bad' cannot be read") as caught:
        harness.clone(stores, "bad", "other")
    assert "`document`" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("document", '{"infrastructure": 5}'),
        ("document", '{"infrastructure": []}'),
        ("qdrant_config", "[1]"),
        ("updated_at", "yesterday"),
        ("expires_at", "never"),
    ],
)
def test_what_the_program_itself_needs_of_a_namespace_must_be_of_its_type(
    stores: Stores, column: str, value: str
) -> None:
    if "at" in column and not stores.catalog.is_sqlite:
        pytest.skip("PostgreSQL keeps no such time")
    spoil(stores, "namespaces", column, value)
    check_others_work(stores)
    with pytest.raises(UnreadableRecord, match="'ns_bad'"):
        harness.clone(stores, "bad", "other")
    assert harness.clone(stores, "prod", "copy").status == "ready"


@pytest.mark.parametrize("value", ["list", "bottomless"])
@pytest.mark.parametrize(
    ("kind", "table", "identity"),
    [
        ("bucket", "buckets", "bkt_a"),
        ("collection", "collections", "col_1"),
        ("retriever", "retrievers", "ret_1"),
        ("taxonomy", "taxonomies", "tax_1"),
    ],
)
def test_a_resource_that_cannot_be_read_is_named_and_listed_with_the_others(
    stores: Stores, kind: str, table: str, identity: str, value: str
) -> None:
    spoil(stores, table, "document", ON_BOTH[value])
    with stores.catalog.read() as connection:
        source = namespaces.resolve(connection, None, "bad")
        listed = list(namespaces.read_listed(connection, source.key, kind))
    assert listed[0][f"{kind}_id"] == identity
    assert all("`document`" in one[UNREADABLE] for one in listed)
    with pytest.raises(UnreadableRecord, match=f"The {kind} '{identity}' cannot be read"):
        harness.clone(stores, "bad", "other", include_resources=harness.everything())


@pytest.mark.parametrize(
    "document",
    ['{"edges": [1], "x": ' * 3000 + "1" + "}" * 3000, '[{"edges": [1]}]'],
    ids=["bottomless", "list"],
)
def test_an_object_that_cannot_be_read_is_named(stores: Stores, document: str) -> None:
    spoil(stores, "objects", "document", document)
    with pytest.raises(UnreadableRecord, match="The object 'obj_1' cannot be read"):
        harness.clone(stores, "bad", "other")
    with pytest.raises(UnreadableRecord, match="The object 'obj_1' cannot be read"):
        harness.dump(stores, "bad", stores.vector_address.folder / "dump")
