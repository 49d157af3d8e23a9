"""Points in the encoding in which they travel: nothing is lost, equal ones have equal digests."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from qdrant_client import grpc

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.references import Rewriter
from clone_pipeline.core.vectors.encoded import (
    EncodedPoint,
    decode_id,
    encode_id,
    received,
    split_page,
)
from clone_pipeline.core.vectors.point import Point, Vector
from clone_pipeline.core.vectors.settle import settle
from clone_pipeline.core.vectors.values import encode, may_be_large

from ..references.examples import id_map
from ..references.test_records import PAYLOAD
from .spelling import IDS, JSON, LARGE, point_of, points, scrolled, with_flipped_bit
from .test_values import exact, nested

chances = st.randoms(use_true_random=False)

TEXT: Vector = [0.25, -0.0, 2.0**-100]
WORDS: Vector = {"indices": [2, 7], "values": [0.5, 3.0]}
LATE: Vector = [[1.0, 2.0], [3.0, 4.0]]


def make(**changes: Any) -> Point:
    vectors = {"text": TEXT, "title": TEXT[::-1], "words": WORDS, "late": LATE}
    payload = {"a": 1, "b": [1, 2, {"c": None, "d": "x"}], "e": {"f": 1.5}}
    return Point(**{"id": 7, "vectors": vectors, "payload": payload, **changes})  # type: ignore[arg-type]


def same(one: Point, other: Point) -> None:
    """Exactly: -0.0 is not 0.0, 1 is not 1.0."""
    assert exact(one._asdict()) == exact(other._asdict())


def digest(point: Point, *, settled: bool = False) -> int:
    return EncodedPoint.of(point).digest(settled=settled)


def sent(point: Point, chance: random.Random) -> EncodedPoint:
    """As a server sends it, in a page of its own."""
    results, following = split_page(scrolled([point], chance))
    assert following is None
    (result,) = results
    return received(result)


@given(points(JSON))
def test_a_point_comes_back(point: Point) -> None:
    same(EncodedPoint.of(point).plain(), point)
    assert EncodedPoint.of(point).id == point.id


@given(IDS)
def test_an_id_comes_back(point_id: int | str) -> None:
    assert decode_id(encode_id(point_id)) == point_id
    assert decode_id(grpc_id(point_id)) == point_id


def grpc_id(point_id: int | str) -> bytes:
    kind = "num" if isinstance(point_id, int) else "uuid"
    return bytes(grpc.PointId(**{kind: point_id}).SerializeToString())


@given(points(), chances)
def test_what_a_server_sends_is_the_same_point(point: Point, chance: random.Random) -> None:
    """In whatever order it has put payload and named vectors."""
    ours, theirs = EncodedPoint.of(point), sent(point, chance)
    assert theirs.id == ours.id
    if theirs.only_json:
        # So it is for every tool; nobody looks at what else it says.
        assert ours.only_json or any_large_float(point.payload)
        return
    same(theirs.plain(), point)
    assert theirs.encoded == ours.encoded
    for settled in (True, False):
        assert theirs.digest(settled=settled) == ours.digest(settled=settled)


@given(st.lists(points(), max_size=4), IDS | st.none(), chances)
@pytest.mark.outside
def test_a_page_is_taken_apart(
    page: list[Point], following: int | str | None, chance: random.Random
) -> None:
    results, after = split_page(scrolled(page, chance, following))
    assert after == following
    assert [received(result).id for result in results] == [point.id for point in page]


@given(points(), chances)
@pytest.mark.outside
def test_named_vectors_have_one_spelling_however_protobuf_sorts(
    point: Point, chance: random.Random
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clone_pipeline.core.vectors.encoded.PROTOBUF_SORTS", False)
        by_hand = sent(point, chance)
    theirs = sent(point, chance)
    if not theirs.only_json:
        assert by_hand.encoded == theirs.encoded


def any_large_float(value: Any) -> bool:
    """One that an integer beyond 63 bits looks like, or an exact text of its bytes."""
    return bool(may_be_large(encode(value)))


@given(points(), chances)
@pytest.mark.outside
def test_qdrant_reads_what_is_written_as_that_point(point: Point, chance: random.Random) -> None:
    for encoded in (EncodedPoint.of(point), sent(point, chance)):
        if not encoded.only_json:
            same(point_of(grpc.PointStruct.FromString(encoded.encoded)), point)


@given(points(), LARGE, chances)
def test_an_integer_that_only_json_can_hold_is_marked(
    point: Point, large: int, chance: random.Random
) -> None:
    point.payload["large"] = [{"in": large}]
    assert EncodedPoint.of(point).only_json
    assert sent(point, chance).only_json


def test_a_payload_that_is_nested_deep_is_marked() -> None:
    assert EncodedPoint.of(Point(1, {}, {"a": nested(60)})).only_json
    assert not EncodedPoint.of(Point(1, {}, {"a": nested(20)})).only_json


# ---- digests ---------------------------------------------------------------------------------


@given(points(JSON), chances)
@pytest.mark.outside
def test_the_order_of_an_objects_keys_does_not_count(point: Point, chance: random.Random) -> None:
    payload, vectors = dict_in_any_order(point.payload, chance), dict(point.vectors)
    vectors = dict_in_any_order(vectors, chance)
    assert digest(Point(point.id, vectors, payload)) == digest(point)


def dict_in_any_order(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    keys = list(value)
    chance.shuffle(keys)
    return {
        key: dict_in_any_order(item, chance) if isinstance(item, dict) else item
        for key, item in ((key, value[key]) for key in keys)
    }


def test_the_order_in_which_a_sparse_vector_is_given_does_not_count() -> None:
    turned = {"indices": [7, 2], "values": [3.0, 0.5]}
    assert digest(make(vectors={"words": turned})) == digest(make(vectors={"words": WORDS}))


@given(points(), st.integers(0, 99), chances)
@pytest.mark.outside
def test_one_bit_of_one_component_is_seen(point: Point, place: int, chance: random.Random) -> None:
    names = sorted(name for name, vector in point.vectors.items() if _components(vector))
    assume(names)
    name = names[place % len(names)]
    changed = {**point.vectors, name: with_flipped_bit(point.vectors[name], place)}
    other = point._replace(vectors=changed)
    assert digest(other) != digest(point)
    assert sent(other, chance).digest() != digest(point)


def _components(vector: Vector) -> list[Any]:
    return vector["values"] if isinstance(vector, dict) else vector


ANOTHER = {
    "id": make(id=8),
    "another kind of id": make(id="00000000-0000-0000-0000-000000000007"),
    "vector names swapped": make(
        vectors={"text": TEXT[::-1], "title": TEXT, "words": WORDS, "late": LATE}
    ),
    "a vector missing": make(vectors={"text": TEXT, "title": TEXT[::-1], "words": WORDS}),
    "another name": make(
        vectors={"texts": TEXT, "title": TEXT[::-1], "words": WORDS, "late": LATE}
    ),
    "the sign of a zero": make(vectors={**make().vectors, "text": [0.25, 0.0, 2.0**-100]}),
    "a component more": make(vectors={**make().vectors, "text": [*TEXT, 0.0]}),
    "another index": make(
        vectors={**make().vectors, "words": {"indices": [2, 8], "values": [0.5, 3.0]}}
    ),
    "values swapped": make(
        vectors={**make().vectors, "words": {"indices": [2, 7], "values": [3.0, 0.5]}}
    ),
    "the rows of a multivector turned": make(vectors={**make().vectors, "late": LATE[::-1]}),
    "other rows": make(vectors={**make().vectors, "late": [[1.0, 2.0, 3.0, 4.0]]}),
    "a dense vector of the same numbers": make(
        vectors={**make().vectors, "late": [1.0, 2.0, 3.0, 4.0]}
    ),
    "no vectors": make(vectors={}),
    "only one, without a name": make(vectors={"": TEXT}),
    "only one, with a name": make(vectors={"text": TEXT}),
    "a key missing": make(payload={"a": 1, "b": [1, 2, {"c": None, "d": "x"}]}),
    "a key more": make(payload={**make().payload, "g": None}),
    "a float": make(payload={**make().payload, "a": 1.0}),
    "true": make(payload={**make().payload, "a": True}),
    "a text": make(payload={**make().payload, "a": "1"}),
    "another order of a list": make(payload={**make().payload, "b": [2, 1, {"c": None, "d": "x"}]}),
    "a null missing": make(payload={**make().payload, "b": [1, 2, {"d": "x"}]}),
    "a renamed key": make(payload={"A": 1, "b": make().payload["b"], "e": make().payload["e"]}),
    "no payload": make(payload={}),
}


def test_any_single_change_is_seen() -> None:
    """And no two of these points are taken for each other."""
    chance = random.Random(3)
    for of in (EncodedPoint.of, lambda point: sent(point, chance)):
        digests = {name: of(point).digest() for name, point in ANOTHER.items()}
        digests["as it was"] = of(make()).digest()
        assert len(set(digests.values())) == len(ANOTHER) + 1


@given(points(JSON), points(JSON))
@pytest.mark.outside
def test_points_have_one_digest_only_where_they_are_equal(one: Point, other: Point) -> None:
    equal = exact(one._asdict()) == exact(other._asdict())
    assert (digest(one) == digest(other)) == equal


@given(points(JSON), points(JSON))
@pytest.mark.outside
def test_settled_digests_are_those_of_points_with_settled_payloads(
    one: Point, other: Point
) -> None:
    for point in (one, other, one._replace(payload=other.payload)):
        kept = point._replace(payload=settle(point.payload))
        assert digest(point, settled=True) == digest(kept) == digest(kept, settled=True)


# ---- the clone's point -------------------------------------------------------------------------


REWRITER = Rewriter(id_map())


@given(points(), st.integers(0, 2), chances)
@pytest.mark.outside
def test_a_point_is_rewritten_as_its_json_is(
    point: Point, layout: int, chance: random.Random
) -> None:
    """In whatever form it is there, also after its digest has been taken."""
    point.payload.update([PAYLOAD, {"collection_id": "col_1", "bucket_id": "bkt_1"}, {}][layout])
    expected, found = REWRITER.rewrite_payload(point.payload)
    wanted = point._replace(payload=expected)
    for encoded in (EncodedPoint.of(point), sent(point, chance)):
        if encoded.only_json:
            continue
        encoded.digest()
        assert encoded.references(REWRITER).counts == found.counts
        same(encoded.plain(), point)
        assert encoded.rewrite(REWRITER).counts == found.counts
        same(encoded.plain(), wanted)
        assert encoded.digest() == digest(wanted)
        assert encoded.collection == EncodedPoint.of(wanted).collection


@pytest.mark.parametrize(
    ("payload", "collection"),
    [
        ({"collection_id": "a", "_internal": {"collection_id": "b"}}, "a"),
        ({"_internal": {"collection_id": "b"}}, "b"),
        ({"collection_id": "", "_internal": {"collection_id": "b"}}, "b"),
        ({"_internal": "b"}, ""),
        ({}, ""),
    ],
)
def test_the_collection_of_a_point(payload: dict[str, Any], collection: str) -> None:
    point = make(payload=payload)
    assert EncodedPoint.of(point).collection == collection
    assert sent(point, random.Random(1)).collection == collection


def test_half_a_surrogate_pair_is_named_with_its_point() -> None:
    for payload in ({"a": "\ud800"}, {"a": {"\udfff": 1}}):
        with pytest.raises(InvalidRequest, match="point 7 holds half a surrogate pair"):
            EncodedPoint.of(make(payload=payload)).digest()
