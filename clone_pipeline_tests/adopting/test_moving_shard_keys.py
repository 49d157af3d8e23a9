"""Shard keys that come and go in a source while it is copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from clone_pipeline.core.errors import NoShardKey
from clone_pipeline.core.points import catchup, pages
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair

from .. import harness
from .keyed import POINTS, SHAPE, assert_same, docs, put, remove, step, stores, url
from .shapes import add_key, remove_key
from .test_adopt import report

__all__ = ["docs", "stores", "url"]  # fixtures

pytestmark = pytest.mark.outside


def after_the_copy(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Before it is asked whether the source was written to."""
    inner, asked = catchup.mark, list[str]()

    def noted(store: Any, collection: str) -> str:
        if not asked:
            asked.append(collection)
            do()
        return inner(store, collection)

    monkeypatch.setattr(catchup, "mark", noted)


def test_keys_that_come_and_go_while_it_is_copied_come_and_go_in_the_clone(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        remove_key(url, docs, 7)
        add_key(url, docs, "later", shards=1)
        put(url, docs, "later", 1, 2, 1000, n=1)
        add_key(url, docs, "later and empty")
        put(url, docs, "empty", 1)

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    consistency = report(stores, clone).shown["consistency"]
    assert consistency["points_changed"] == [4]
    assert consistency["outcome"] == "nothing differs any more after 1 catch-up pass"
    proof = report(stores, clone, "verify_clone").details
    assert (proof["differences"], proof["drift"]["state"]) == (0, "quiet")
    assert clone.points == POINTS - SHAPE.points + 4
    assert_same(stores, url, docs, clone)


def test_a_key_in_the_place_of_another_one_is_noticed(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qdrant gives it the number of the other one's shard, and the same number of writes."""
    add_key(url, docs, "first", shards=1)
    put(url, docs, "first", 1)
    marks = [mark_of(stores, docs)]

    def change() -> None:
        remove_key(url, docs, "first")
        add_key(url, docs, "second", shards=1)
        put(url, docs, "second", 1, n=2)
        marks.append(mark_of(stores, docs))

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    assert report(stores, clone).shown["consistency"]["points_changed"] == [1]
    assert_same(stores, url, docs, clone)
    before, after = marks
    assert [known[:2] for known in before] == [known[:2] for known in after]
    assert before != after


def mark_of(stores: Stores, collection: str) -> list[Any]:
    """Number, last write and key of each shard."""
    with stores.vectors() as vectors:
        told = vectors.last_write(collection)
    assert told is not None
    known: list[Any] = json.loads(told)
    return known


def test_a_server_that_tells_no_last_write_tells_its_keys(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with several nodes; and there are as many points as there were."""
    monkeypatch.setattr(ServerStore, "last_write", lambda *_: None)

    def change() -> None:
        remove(url, docs, 7, 1)
        add_key(url, docs, "later")
        put(url, docs, "later", 1)

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    assert report(stores, clone).shown["consistency"]["points_changed"] == [2]
    assert_same(stores, url, docs, clone)


def test_keys_that_come_and_go_before_the_copy_are_followed(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="copy_points")
    remove_key(url, docs, "tenant ü")
    add_key(url, docs, "later")
    put(url, docs, "later", *range(30))
    for name in ("copy_points", "clone_retrievers", "clone_taxonomies", "verify_clone"):
        step(stores, clone, name)
    step(stores, clone, "publish_clone")
    assert_same(stores, url, docs, clone)


def test_a_key_that_goes_while_it_is_read_ends_the_copy_and_the_resumed_one_goes_on(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CONCURRENT", 1)
    inner, read = ServerStore.read, list[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> Any:
        read.append(collection)
        if len(read) == 18:
            remove_key(url, docs, "tenant ü")
        return inner(self, collection, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(ServerStore, "read", noted)
        with pytest.raises(NoShardKey, match=r"'tenant ü' of docs_.* was taken away .* resume"):
            harness.clone(stores, "docs", "copy")
    clone = harness.clone(stores, "docs", "copy")
    assert_same(stores, url, docs, clone)


def test_what_comes_after_the_copy_is_drift_and_a_refresh_has_it(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="verify_clone")
    add_key(url, docs, "later")
    put(url, docs, "later", 1, 2)
    drift = step(stores, clone, "verify_clone").details["drift"]
    assert drift == {"state": "moving", "at_least": {"points": 2, "qdrant_config": 1}}
    step(stores, clone, "publish_clone")
    pair = verify_pair(stores, None, "docs", "copy")
    assert (pair.unchanged, pair.equal) == (True, False)
    clone = harness.clone(stores, "docs", "copy", if_exists="replace")
    assert_same(stores, url, docs, clone)
