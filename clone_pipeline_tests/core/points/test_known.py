"""What is kept of the points of a clone, and how it is gone through beside those of the source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.points.known import Known, entry, key, short
from clone_pipeline.core.vectors.ids import id_order
from clone_pipeline.core.vectors.point import PointId

IDS: st.SearchStrategy[PointId] = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 20), st.uuids().map(str)
)
POINTS = st.dictionaries(IDS, st.integers(0, 2**128 - 1), max_size=30)


@given(IDS, IDS)
def test_keys_sort_as_the_stores_sort_ids(one: PointId, other: PointId) -> None:
    assert (key(one) < key(other)) is (id_order(one) < id_order(other))


@given(POINTS, POINTS, st.none() | IDS, st.none() | IDS)
def test_going_through_both_tells_exactly_what_differs(
    live: dict[PointId, int],
    source: dict[PointId, int],
    first: PointId | None,
    until: PointId | None,
) -> None:
    entries = b"".join(entry(one, live[one]) for one in sorted(live, key=id_order))
    known = Known(entries, first, until)
    kept = {one: short(live[one]) for one in live if _inside(one, first, until)}
    mine = sorted((one for one in source if _inside(one, first, until)), key=id_order)

    gone, found = [], {}
    for one in mine:
        gone += known.pass_to(one)
        found[one] = known.take(one)
    gone += known.pass_to(None)

    assert gone == sorted(kept.keys() - source.keys(), key=id_order)
    assert found == {one: kept.get(one) for one in mine}


def _inside(one: PointId, first: PointId | None, until: PointId | None) -> bool:
    place = id_order(one)
    return (first is None or id_order(first) <= place) and (
        until is None or place < id_order(until)
    )
