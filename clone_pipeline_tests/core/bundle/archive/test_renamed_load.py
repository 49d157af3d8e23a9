"""An archive under another name is proven too: against the seal, and against what it became."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.bundle import LoadReport, Target, archive, files
from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.manifest import MANIFEST, signed
from clone_pipeline.core.bundle.claim import Reservation
from clone_pipeline.core.errors import BundleError, VerificationFailed
from clone_pipeline.core.process import Holder
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.core.bundle.samples import rows

from .making import InMemory, dump

AGAIN = Target("again", new_ids=True)
POINTS = 40


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InMemory:
    """An archive of several parts, whose payloads all change."""
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    monkeypatch.setattr(files, "BATCH_LINES", 5)
    source, place = prod(), InMemory()
    first = source["points.jsonl"][0]
    source["points.jsonl"] = [first | {"id": number} for number in range(POINTS)]
    with harness.holding(tmp_path / "source", source) as stores:
        dump(stores, place)
    return place


class Store(EmbeddedStore):
    """Does something with the points, and counts them."""

    written = 0
    dies_at = 10**9

    def changed(self, point: Point) -> Point:
        return point

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        self.written += len(points)
        super().upsert(collection, [self.changed(point) for point in points])
        if self.written >= self.dies_at:
            raise SystemExit


class AsItWas(Store):
    """Keeps of one point what stands in the archive."""

    def changed(self, point: Point) -> Point:
        if point.id != 17:
            return point
        internal = point.payload["_internal"] | {"collection_id": "col_scenes0001"}
        return point._replace(payload=point.payload | {"_internal": internal})


def load(stores: Stores, place: InMemory, kind: type[Store] = Store, **more: Any) -> LoadReport:
    vectors = kind.open(stores.vector_address.folder)
    for name, value in more.items():
        setattr(vectors, name, value)
    try:
        return archive.load_archive(stores, vectors, place, target=AGAIN)
    finally:
        load.written = vectors.written  # type: ignore[attr-defined]
        vectors.close()


def test_what_is_not_rewritten_is_found(elsewhere: Stores, made: InMemory) -> None:
    with pytest.raises(VerificationFailed, match=r"point 17, payload\._internal\.collection_id"):
        load(elsewhere, made, AsItWas)
    assert rows(elsewhere.catalog) == {}


def test_each_part_of_the_points_is_fetched_to_be_checked_and_to_be_written_and_never_again(
    elsewhere: Stores, made: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: Counter[str] = Counter()
    read = InMemory.read

    def counting(self: InMemory, name: str, most: int) -> Any:
        fetched[name] += 1
        return read(self, name, most)

    monkeypatch.setattr(InMemory, "read", counting)
    load(elsewhere, made)
    of_points = [count for name, count in fetched.items() if name.startswith("points")]
    assert len(of_points) > 5
    assert set(of_points) == {2}


def re_signed(place: InMemory, change: Any) -> InMemory:
    document = json.loads(place.files[MANIFEST])
    del document["sha256"]
    change(document)
    place.files[MANIFEST] = signed(document)
    return place


def of_points(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        part for part in document["parts"] if part["name"].startswith("points-")
    )
    return found


OTHER = "0" * 31 + "1"


def swap_digests(document: dict[str, Any]) -> None:
    """Of two parts, so that the sum is right."""
    one, other = [part for part in document["parts"] if part["name"].startswith("points-")][:2]
    one["digest"], other["digest"] = other["digest"], one["digest"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (swap_digests, r"points-\S+: holds other points than the archive's seal says"),
        (
            lambda document: of_points(document).update(digest=OTHER),
            "manifest.json: has another seal than its parts add up to",
        ),
        (
            lambda document: document["seal"]["records"]["object"].update(digest=OTHER),
            "objects.jsonl: is not what the archive's seal says",
        ),
    ],
)
def test_what_the_seal_was_not_made_of_is_refused(
    elsewhere: Stores, made: InMemory, change: Any, sentence: str
) -> None:
    with pytest.raises(BundleError, match=sentence):
        load(elsewhere, re_signed(made, change))
    assert rows(elsewhere.catalog) == {}


def test_records_that_are_not_what_they_became_are_found(
    elsewhere: Stores, made: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading: Any = import_module("clone_pipeline.core.bundle.load")
    split = loading.split

    def spoilt(document: Any, columns: Any, now: Any) -> Any:
        row = split(document, columns, now)
        if document.get("object_id") == "obj_2":
            row["document"] = row["document"] | {"blobs": []}
        return row

    monkeypatch.setattr(loading, "split", spoilt)
    with pytest.raises(VerificationFailed, match="The objects that were loaded are not"):
        load(elsewhere, made)
    assert rows(elsewhere.catalog) == {}


def test_a_killed_one_goes_on_with_what_was_rewritten(
    elsewhere: Stores, made: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # As one that had no time to clean up, and is dead now.
        patch.setattr(Reservation, "give_up", lambda self: None)
        with pytest.raises(SystemExit):
            load(elsewhere, made, dies_at=30)
    monkeypatch.setattr(Holder, "is_dead", lambda self: True)
    report = load(elsewhere, made)
    assert report.counts["points"] == POINTS
    assert 0 < load.written < POINTS  # type: ignore[attr-defined]
    assert "loads" not in rows(elsewhere.catalog)
