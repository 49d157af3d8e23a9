"""Payloads as messages: read, changed and spelled where they stand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clone_pipeline.core.references import Rewriter
from clone_pipeline.core.vectors import payload as module
from clone_pipeline.core.vectors.encoded import received, split_page
from clone_pipeline.core.vectors.payload import PAYLOAD, Payload, value_at
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.values import encode_entries

from ..references.examples import id_map
from .spelling import VALUES, scrolled
from .test_values import exact

chances = st.randoms(use_true_random=False)
PAYLOADS = st.dictionaries(st.text(), VALUES, max_size=5)


def sent(payload: dict[str, Any], chance: random.Random) -> Payload:
    """As a server sends it."""
    (result,), _ = split_page(scrolled([Point(1, {}, payload)], chance))
    found = received(result).payload
    if not isinstance(found, Payload):
        assume(False)  # too deep for protobuf
    assert isinstance(found, Payload)
    return found


@given(PAYLOADS, chances)
@pytest.mark.outside
def test_whatever_order_a_server_gives_it_in_there_is_one_spelling(
    payload: dict[str, Any], chance: random.Random
) -> None:
    assert sent(payload, chance).encode() == encode_entries(PAYLOAD, payload)
    assert exact(sent(payload, chance).plain()) == exact(payload)


@given(PAYLOADS, chances)
@pytest.mark.outside
def test_the_spelling_does_not_depend_on_how_protobuf_sorts(
    payload: dict[str, Any], chance: random.Random
) -> None:
    assert module.PROTOBUF_SORTS  # else all that is done here is twice as slow
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PROTOBUF_SORTS", False)
        by_hand = sent(payload, chance).encode()
    assert by_hand == sent(payload, chance).encode()


@given(PAYLOADS, chances)
@pytest.mark.outside
def test_what_is_picked_is_what_stands_there(
    payload: dict[str, Any], chance: random.Random
) -> None:
    theirs = sent(payload, chance)
    picked = theirs.pick(frozenset([*list(payload)[::2], "not there \0"]))
    assert picked.keys() == payload.keys() & {*list(payload)[::2], "not there \0"}
    assert {key: exact(module._plain(value)) for key, value in picked.items()} == {
        key: exact(payload[key]) for key in picked
    }
    assert set(theirs) == payload.keys()
    assert exact(theirs.plain()) == exact(payload)


def test_it_is_changed_where_it_stands_and_a_copy_is_not() -> None:
    before = {"a": {"b": ["x", {"c": "y"}], "old": 1}, "e": None}
    payload = sent(before, random.Random(1))
    copy = payload.copy()
    inner = value_at(payload, "a")
    items = value_at(inner, "b")
    items.set(0, "new")
    next(item for item in items if not isinstance(item, str)).set("c", "newer")
    inner.rename({"old": "renamed"})
    payload.set("e", "text")
    wanted = {"a": {"b": ["new", {"c": "newer"}], "renamed": 1}, "e": "text"}
    assert payload.plain() == wanted
    assert payload.encode() == encode_entries(PAYLOAD, wanted)
    assert copy.plain() == before


def test_a_signed_url_is_removed_from_a_message_as_from_a_dictionary() -> None:
    rewriter = Rewriter(id_map())
    blob = {"url": "s3://files/k", "presigned_url": "https://signed"}
    before = {
        "presigned_url": "https://signed",
        "document_blobs": [blob, {"url": "s3://files/l"}],
        "_internal": {"source_blobs": [blob], "document_blobs": [blob]},
        "metadata": {"presigned_url": "kept"},
    }
    payload, wanted = sent(before, random.Random(1)), rewriter.rewrite_payload(before)
    _, found = rewriter.rewrite_payload(payload)
    assert payload.plain() == wanted[0]
    assert "signed" not in repr(payload.plain()).replace("presigned", "")
    assert found.counts == wanted[1].counts
    unsigned = sent({"collection_id": "col_1"}, random.Random(1))
    assert not unsigned.may_have("presigned_url")
    assert rewriter.rewrite_payload(unsigned)[0].plain() == {"collection_id": "col_N1"}


def test_keys_that_take_each_others_names_are_renamed_at_once() -> None:
    payload = sent({"a": 1, "b": [2], "c": {"d": 3}}, random.Random(1))
    payload.rename({"a": "b", "b": "c", "c": "a"})
    assert payload.plain() == {"b": 1, "c": [2], "a": {"d": 3}}


def test_what_stands_at_a_key_of_something_that_is_no_object() -> None:
    payload = sent({"a": "text", "b": None}, random.Random(1))
    assert value_at(payload, "b") is None
    assert value_at(payload, "c") is None
    assert value_at(value_at(payload, "a"), "b") is None
    assert value_at({"a": 1}, "a") == 1
