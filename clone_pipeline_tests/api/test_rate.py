"""The rate limit, in one process and in several that share a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from clone_pipeline.api.rate import Rate, SharedRate, rate_for
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import api_requests

pytestmark = pytest.mark.outside

# The beginning of a minute.
NOW = 60.0 * 1000
MOST = 6


@pytest.fixture(params=["alone", "shared"])
def rate(request: pytest.FixtureRequest) -> Iterator[Rate]:
    if request.param == "alone":
        yield Rate(MOST)
        return
    catalog = Catalog.open(request.getfixturevalue("postgres_url"))
    yield SharedRate(MOST, catalog)
    catalog.close()


def test_the_window_slides_and_what_was_refused_does_not_count(rate: Rate) -> None:
    seen = [rate.hit("key a", NOW) for _ in range(MOST + 4)]
    assert [one.admitted for one in seen] == [True] * MOST + [False] * 4
    assert [one.remaining for one in seen] == [5, 4, 3, 2, 1, 0, 0, 0, 0, 0]
    assert seen[0].reset_at == NOW + 60
    assert rate.hit("key b", NOW).admitted  # each has its own
    # Half a minute into the next one, half of them are still in the window.
    later = [rate.hit("key a", NOW + 90) for _ in range(4)]
    assert [one.admitted for one in later] == [True] * 3 + [False]
    assert [rate.hit("key a", NOW + 300).admitted for _ in range(MOST + 1)] == [True] * 6 + [False]


def test_processes_that_share_a_catalog_let_in_as_many_as_one(postgres_url: str) -> None:
    catalogs = [Catalog.open(postgres_url) for _ in range(2)]
    rates = [rate_for(catalog, MOST) for catalog in catalogs]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda number: rates[number % 2].hit("key a", NOW), range(40)))
    assert sum(one.admitted for one in seen) == MOST
    for rate in rates:
        rate.hit("key a", NOW + 600)
    with catalogs[0].read() as connection:
        rows = connection.execute(select(func.count()).select_from(api_requests)).scalar_one()
    assert rows == 1  # what is over is forgotten
    for catalog in catalogs:
        catalog.close()


def test_an_embedded_catalog_is_not_written_for_it(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db")
    assert type(rate_for(catalog, MOST)) is Rate
    catalog.close()
