"""Each single damage to a clone's points is found, named by point and field, and put right."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete

from clone_pipeline.core.catalog.schema import clone_steps
from clone_pipeline.core.difference import Differences
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.verify import Verdict, verify_pair, verify_sealed

from .damages import KINDS, Named, Target, add_point, damage, drop_index
from .making import NAME, SOURCE, Making
from .many import assert_equal, point, stores_with

# Read at import: no test sees the environment.
_LONG = int(os.environ.get("CLONE_PIPELINE_TEST_EXAMPLES", "1000"))
_FEW = 12
_DAMAGED = point(7).id

EVERY: dict[str, Callable[[Target], Named]] = {
    **{kind: partial(damage, kind=kind, point_id=_DAMAGED) for kind in KINDS},
    "a point more": partial(add_point, like=point(3).id),
    "an index dropped": partial(drop_index, field="count"),
}


@pytest.fixture(scope="module")
def few(qdrant_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    home = tmp_path_factory.mktemp("few")
    with stores_with(qdrant_url, home, _FEW) as stores:
        yield stores


@pytest.fixture(scope="module")
def copied(few: Stores) -> Making:
    """Each test damages it, proves it, and leaves it as it was."""
    making = Making.until_copied(few)
    assert_equal(making)
    return making


@pytest.fixture(scope="module")
def published(qdrant_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    """Each test damages it and puts it right again."""
    with stores_with(qdrant_url, tmp_path_factory.mktemp("published"), _FEW) as stores:
        making = Making.published(stores)
        assert_good(making)
        yield making


def target_of(making: Making, seed: int = 1) -> Target:
    url = str(making.stores.vector_address.url)
    return Target(url, making.clone.qdrant_collection, random.Random(seed))


def named(found: list[dict[str, str]]) -> Named:
    return {(one["kind"], one["id"], one["field"]) for one in found}


def assert_good(making: Making) -> None:
    """The independent comparison, then the product's own word."""
    assert_equal(making)
    assert verify_sealed(making.stores, None, NAME).unchanged
    assert verify_pair(making.stores, None, SOURCE, NAME).equal is True


def assert_found(report: StepReport, wanted: Named) -> None:
    assert named(report.details["differences_first"]) == wanted
    assert report.details["differences"] == len(wanted)
    assert report.details["drift"] == {"state": "quiet", "at_least": {}}


@pytest.mark.parametrize("kind", EVERY)
def test_a_damage_before_publish_is_named_and_put_right(copied: Making, kind: str) -> None:
    wanted = EVERY[kind](target_of(copied))
    proof = prove_again(copied)
    assert_found(proof, wanted)
    assert proof.details["repaired"] == 1
    assert_equal(copied)
    assert prove_again(copied).details["differences"] == 0


def prove_again(making: Making) -> StepReport:
    """Whatever was proven before."""
    mine = clone_steps.c.clone_id == making.clone.clone_id
    with making.catalog() as connection:
        connection.execute(delete(clone_steps).where(mine, clone_steps.c.step == "verify_clone"))
    return making.prove()


@pytest.mark.parametrize("kind", EVERY)
def test_a_damage_after_publish_is_named(published: Making, kind: str) -> None:
    target, stores = target_of(published), published.stores
    before = target.points([_DAMAGED])
    wanted = EVERY[kind](target)
    sealed, pair = verify_sealed(stores, None, NAME), verify_pair(stores, None, SOURCE, NAME)
    part = "qdrant config" if kind == "an index dropped" else "points"
    assert (sealed.good, sealed.changed_parts) == (False, [part])
    assert (pair.good, pair.equal, pair.changed_parts) == (False, False, [part])
    assert_named(pair, wanted)
    if kind == "an index dropped":
        schema = published.clone.plan["qdrant_config"]["payload_schema"]["count"]["params"]
        target.do("PUT", "/index", {"field_name": "count", "field_schema": schema})
    elif kind == "a point more":
        ((_, extra, _),) = wanted
        target.do("POST", "/points/delete", {"points": [int(extra) if extra.isdigit() else extra]})
    else:
        target.put(before)
    assert_good(published)


def assert_named(verdict: Verdict, wanted: Named) -> None:
    assert named(verdict.differences.to_json()) == wanted
    assert verdict.differences.count == len(wanted)


# ---- many at once ----------------------------------------------------------------------------


def damage_many(target: Target, points: int, damages: int) -> Named:
    """So many damages of random kinds to different points, and every payload index but one."""
    chance = target.chance
    wanted: Named = set()
    indexes = ["count", "title"]
    for number in chance.sample(range(10, points), damages - len(indexes)):
        kind = chance.choice([*KINDS, "a point more"])
        if kind == "a point more":
            wanted |= add_point(target, point(3).id)
        else:
            wanted |= damage(target, kind, point(number).id)
    for index in indexes:
        wanted |= drop_index(target, index)
    return wanted


def prove_many(stores: Stores, points: int, damages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The product names the first hundred; here every one is looked for.
    monkeypatch.setattr(Differences.__init__, "__defaults__", (2 * damages + 10,))
    making = Making.until_copied(stores)
    assert making.clone.plan["slices"] >= 3
    wanted = damage_many(target_of(making, damages), points, damages)
    assert len(wanted) >= damages
    proof = making.prove()
    assert_found(proof, wanted)
    assert proof.details["repaired"] == damages
    making.publish()
    assert_good(making)
    wanted = damage_many(target_of(making, damages + 1), points, damages)
    assert_named(verify_pair(stores, None, SOURCE, NAME), wanted)
    assert verify_sealed(stores, None, NAME).changed_parts == ["qdrant config", "points"]


def test_many_damages_in_several_slices_are_named_and_put_right(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    with stores_with(qdrant_url, tmp_path, 900) as stores:
        prove_many(stores, 900, 80, monkeypatch)


@pytest.mark.long
def test_a_thousand_damages_are_named_one_by_one_and_put_right(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLONE_PIPELINE_TEST_EXAMPLES is how many."""
    with stores_with(qdrant_url, tmp_path, 12_500) as stores:
        prove_many(stores, 12_500, max(_LONG, 10), monkeypatch)
