"""From one kind of database to the other: documents to the byte, times to the microsecond."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.stores import Stores, VectorAddress

from .. import harness
from ..sources import source
from .two import PRODUCTION, Known

pytestmark = pytest.mark.outside

_NUMBERS = itertools.count(1)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.fixture(params=["from sqlite", "from postgresql"])
def catalogs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Catalog, Catalog]]:
    """The source's and the clone's."""
    urls = [harness.new_catalog(tmp_path / "catalog.db"), request.getfixturevalue("postgres_url")]
    if request.param == "from postgresql":
        urls.reverse()
    with closing(Catalog.open(urls[0])) as one, closing(Catalog.open(urls[1])) as other:
        yield one, other


def rows(stores: Stores, namespace_key: int) -> dict[str, tuple[Any, ...]]:
    """The objects of a namespace: text and times."""
    columns = schema.objects.c
    query = select(
        columns.object_id, columns.document, columns.created_at, columns.updated_at
    ).where(columns.namespace_key == namespace_key)
    with stores.catalog.read() as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(query)}


def from_here_to_there(folder: Path, catalogs: tuple[Catalog, Catalog]) -> tuple[Stores, Stores]:
    there = Stores(catalogs[0], VectorAddress(folder / "there"))
    known = Known(PRODUCTION, there)
    return there, Stores(catalogs[1], VectorAddress(folder / "here"), elsewhere=known)


@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moment=MOMENTS, text=TEXTS)
def test_an_object_is_the_same_in_the_other_database(
    tmp_path_factory: pytest.TempPathFactory,
    catalogs: tuple[Catalog, Catalog],
    moment: datetime,
    text: str,
) -> None:
    number = next(_NUMBERS)
    there, here = from_here_to_there(tmp_path_factory.mktemp("stores"), catalogs)
    one = {"object_id": f"obj_{number}", "bucket_id": f"bkt_{number}", "note": text, "n": 1e300}
    identity = {"namespace_id": f"ns_{number}", "namespace_name": f"prod {number}"}
    harness.load(there, source(identity, buckets=[{"bucket_id": f"bkt_{number}"}], objects=[one]))
    harness.same_organizations(there, here, "{}")
    values = {"created_at": moment, "updated_at": moment + timedelta(microseconds=1)}
    with there.catalog.write() as connection:
        mine = schema.objects.c.object_id == one["object_id"]
        connection.execute(update(schema.objects).where(mine).values(values))
    clone = harness.clone(here, f"prod {number}", f"copy {number}", source_environment=PRODUCTION)
    (old,) = rows(there, clone.source_namespace_key).values()
    (new,) = rows(here, clone.namespace_key).values()
    assert new == old
    assert new[1:] == (values["created_at"], values["updated_at"])
