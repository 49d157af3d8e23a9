"""What a server makes of floats: the rule by which they count as the same, and its bounds."""

from __future__ import annotations

import math
import struct
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.settle import reread, settle, settled

from .points import make_point

NOTHING = rule(False, {"vectors": {}})

finite = st.floats(allow_nan=False, allow_infinity=False)
# Of a size that scores, prices and probabilities have.
ordinary = st.floats(1e-6, 1e34) | st.floats(-1e34, -1e-6)
texts = st.text(alphabet="\x11\x22é\0a", max_size=40)

# Read from serde_json 1.0.150 as Qdrant 1.18.3 is built with it: a float, and what it reads back.
READ = [
    (5.1138031047440455e-300, 5.113803104744046e-300),
    (1.1036561767077697e-131, 1.1036561767077696e-131),
    (3.0936858884514657e-40, 3.0936858884514653e-40),
    (5.788350460524352e-29, 5.788350460524351e-29),
    (4.156924777296893e-19, 4.1569247772968934e-19),
    (1.4945748790936947e-13, 1.494574879093695e-13),
    (4.870136403504051e-10, 4.87013640350405e-10),
    (3.360606175484459e-8, 3.3606061754844594e-8),
    (3.0215927403340456e-7, 3.021592740334046e-7),
    (1.2152840790898679e-5, 1.215284079089868e-5),
    (0.056426364579568164, 0.05642636457956816),
    (1.8387269364825842, 1.838726936482584),
    (1169.9510547380673, 1169.9510547380671),
    (1955578736256029.8, 1955578736256029.5),
    (1.0773554396029477e17, 1.0773554396029475e17),
    (1.3121854790440677e25, 1.3121854790440675e25),
    (1.7086767085427513e37, 1.708676708542751e37),
    (4.9867522931986593e39, 4.986752293198659e39),
    (1.124888289006326e102, 1.1248882890063259e102),
    (8.094018964374985e161, 8.094018964374984e161),
    (1.1664164968745672e300, 1.1664164968745673e300),
    (8.957871846151212e-20, 8.957871846151213e-20),
    (2.5e-300, 2.5e-300),
    (1e-5, 1e-5),
    (1.2345678901234568e17, 1.2345678901234568e17),
    (9999999999999998.0, 9999999999999998.0),
    (1e16, 1e16),
    (4.35, 4.35),
    (0.1, 0.1),
    (5e-324, 5e-324),
    (-0.0, -0.0),
    (1.7976931348623157e308, 1.7976931348623157e308),
]


def places(one: float, other: float) -> int:
    """How many doubles lie between them, one of them counted."""
    left, right = (struct.unpack("<q", struct.pack("<d", abs(value)))[0] for value in (one, other))
    return abs(left - right)


def exact(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize(("value", "read"), READ)
def test_reading_is_that_of_the_servers_parser(value: float, read: float) -> None:
    assert exact(reread(value)) == exact(read)
    assert exact(reread(-value)) == exact(-read)


@given(finite)
@example(8.553473696413767e-06)
@example(5.682236243012591e-10)
@example(sys.float_info.max)
def test_what_is_settled_stays_so_however_often_it_is_written(value: float) -> None:
    """Also where two or three floats take turns: each of them stands for the same."""
    kept = settled(value)
    for _ in range(5):
        value = reread(value)
        assert exact(settled(value)) == exact(kept)
    assert exact(settled(kept)) == exact(kept)
    assert math.copysign(1.0, kept) == math.copysign(1.0, value)


@given(ordinary)
def test_ordinary_floats_move_by_one_place_and_once(value: float) -> None:
    once = reread(value)
    assert places(value, once) <= 1
    assert reread(reread(once)) == reread(once)


@given(finite)
def test_what_counts_as_the_same_is_less_than_a_trillionth_apart(value: float) -> None:
    assert abs(settled(value) - value) <= 1e-12 * abs(value)


@given(st.floats(1e-290, 1e290), st.floats(1e-11, 1e3))
def test_a_score_of_another_size_is_a_difference(value: float, apart: float) -> None:
    other = value * (1 + apart)
    before, after = (
        make_point(1, {"a": [{"score": value}]}),
        make_point(1, {"a": [{"score": other}]}),
    )
    assert differences(before, after, NOTHING) == ["payload.a[0].score"]
    assert of(before) != of(after)


@given(finite)
def test_a_float_and_what_the_server_makes_of_it_are_equal(value: float) -> None:
    before, after = make_point(1, {"a": [value]}), make_point(1, {"a": [reread(reread(value))]})
    assert differences(before, after, NOTHING) == []
    assert of(before) == of(after)


@pytest.mark.parametrize("other", [0, False, None, "0.0", -0.0, [0.0]])
def test_nothing_else_counts_as_a_float(other: object) -> None:
    before, after = make_point(1, {"a": 0.0}), make_point(1, {"a": other})
    assert differences(before, after, NOTHING) == ["payload.a"]
    assert of(before) != of(after)


@given(st.lists(st.one_of(finite, texts, st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_no_text_is_taken_for_a_float(values: list[object]) -> None:
    """Whatever bytes it has: the byte before a double may stand anywhere."""
    payload = {"a": values, **{str(value): value for value in values}}
    wanted = EncodedPoint.of(make_point(1, settle(payload))).digest()
    assert of(make_point(1, payload)) == wanted


def of(point: Point) -> int:
    return EncodedPoint.of(point).digest(settled=True)
