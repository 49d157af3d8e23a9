"""What is damaged between the copy and the proof is named, copied again, and published equal."""

from __future__ import annotations

from collections.abc import Callable

from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair, verify_sealed

from .damage import damage_points, damage_records
from .making import NAME, SOURCE, Making

Dumped = Callable[[Stores, str], dict[str, str]]


def test_every_damaged_record_is_named_and_written_again(
    stores_on_each_catalog: Stores, dumped: Dumped
) -> None:
    stores = stores_on_each_catalog
    making = Making.until_copied(stores)
    before = {name: dumped(stores, name) for name in (SOURCE, NAME)}
    named = damage_records(making)
    proof = making.prove()
    assert {tuple(one.values()) for one in proof.details["differences_first"]} == named
    assert proof.details["differences"] == len(named)
    making.publish()
    assert making.status() == "ready"
    assert {name: dumped(stores, name) for name in (SOURCE, NAME)} == before
    assert verify_sealed(stores, None, NAME).unchanged
    assert verify_pair(stores, None, SOURCE, NAME).equal is True


def test_every_damaged_point_is_named_and_written_again(
    stores_on_each_qdrant: Stores, dumped: Dumped
) -> None:
    stores = stores_on_each_qdrant
    making = Making.until_copied(stores)
    before = {name: dumped(stores, name) for name in (SOURCE, NAME)}
    with making.target() as target:
        named = damage_points(*target)
    proof = making.prove()
    assert {tuple(one.values()) for one in proof.details["differences_first"]} == named
    assert proof.details["drift"] == {"state": "quiet", "at_least": {}}
    making.publish()
    assert making.status() == "ready"
    assert {name: dumped(stores, name) for name in (SOURCE, NAME)} == before
    assert verify_sealed(stores, None, NAME).unchanged
    assert verify_pair(stores, None, SOURCE, NAME).equal is True
