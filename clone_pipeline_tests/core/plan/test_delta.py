"""When a clone begins with an earlier one, why it does not, and that the page says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.plan.delta import OBSTACLES, Obstacle, obstacle
from clone_pipeline.core.plan.lane import TABLE, choose_lane
from clone_pipeline.core.plan.situation import NO_BASE, BaseSeen, Situation

from .test_lane import shown

# Streamed, and everything is well for a delta.
GOOD = Situation(preserves_ids=False, base=BaseSeen())
STREAMED = next(row for row in TABLE if row.fits(GOOD))
SITUATIONS = [
    replace(GOOD, collections=False),
    replace(GOOD, base=NO_BASE),
    replace(GOOD, embedded=True),
    replace(GOOD, custom_sharding=True),
    replace(GOOD, copies_files=True),
    replace(GOOD, base=BaseSeen(sealed=False)),
    replace(GOOD, base=BaseSeen(as_asked=False)),
    replace(GOOD, base=BaseSeen(configured=False)),
    replace(GOOD, base=BaseSeen(untouched=False)),
    replace(GOOD, base=BaseSeen(outdated=True)),
    replace(GOOD, base=BaseSeen(several_nodes=True)),
    replace(GOOD, base=BaseSeen(unsettled=True)),
    replace(GOOD, base=BaseSeen(payloads_to_change=None)),
    replace(GOOD, base=BaseSeen(payloads_to_change=7)),
]
CASES = list(zip(OBSTACLES, SITUATIONS, strict=True))
IDS = [one.situation for one in OBSTACLES]


def test_the_page_shows_what_is_in_the_way() -> None:
    expected = [[one.situation, one.told("the base")] for one in OBSTACLES]
    assert shown("situation | not delta, because") == expected


@pytest.mark.parametrize(("one", "it"), CASES, ids=IDS)
def test_each_obstacle_fits_its_situation_alone(one: Obstacle, it: Situation) -> None:
    assert it.base is not None
    assert [other for other in OBSTACLES if other.fits(it, it.base)] == [one]


def test_a_refresh_that_would_be_streamed_takes_what_is_live() -> None:
    assert obstacle(GOOD, BaseSeen()) is None
    assert {choose_lane(asked, GOOD).name for asked in ("auto", "delta")} == {"delta"}
    assert choose_lane("stream", GOOD).name == "stream"
    native = Situation(base=BaseSeen())
    assert choose_lane("auto", native).name == "native"
    assert choose_lane("delta", native).name == "delta"


@pytest.mark.parametrize(("one", "it"), CASES, ids=IDS)
def test_what_is_in_the_way_is_told_and_refused_on_request(one: Obstacle, it: Situation) -> None:
    lane = choose_lane("auto", it)
    reason = one.told("the live generation")
    assert lane.name == "stream"
    # Of a clone that has no earlier one there is nothing to say.
    assert lane.reason.endswith(f"; and not delta, because {reason}") is (it.base is not NO_BASE)
    with pytest.raises(InvalidRequest, match="`lane: delta` is not possible here") as refused:
        choose_lane("delta", it)
    assert reason in refused.value.message


def test_a_backup_that_would_be_streamed_takes_the_one_before_and_names_it() -> None:
    before = BaseSeen(called="the backup 'prod_1'", namespace_id="ns_1")
    lane = choose_lane("auto", replace(GOOD, base=before))
    assert lane.name == "delta"
    assert lane.reason.startswith("the backup 'prod_1' was proven")
    for found in (replace(before, untouched=False), replace(before, payloads_to_change=1)):
        told = choose_lane("auto", replace(GOOD, base=found)).reason
        assert "; and not delta, because " in told
        assert "the backup 'prod_1'" in told


def test_before_what_is_live_was_looked_at_nothing_is_refused() -> None:
    unseen = replace(GOOD, base=None)
    assert choose_lane("delta", unseen).name == "delta"
    assert choose_lane("auto", unseen) == choose_lane("auto", replace(GOOD, base=NO_BASE))


def test_vectors_that_cannot_be_proven_are_refused_in_a_delta_too() -> None:
    with pytest.raises(InvalidRequest, match="stored lossily"):
        choose_lane("delta", replace(GOOD, lossy=("text",)))
