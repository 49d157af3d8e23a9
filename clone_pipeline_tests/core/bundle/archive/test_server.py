"""An archive of a namespace on a real Qdrant server: it knows whether points were written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.bundle.archive.place import ANYTHING
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors import slices
from clone_pipeline_tests import harness
from clone_pipeline_tests.sources import write_bundle

from .making import InMemory, dump, load, many_points

POINTS = 900


@pytest.fixture
def served(qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """`prod`, with many cosine vectors in several slices."""
    monkeypatch.setattr(parts, "PART_BYTES", 10_000)
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    files = many_points(POINTS)
    files["points.jsonl"][4:] = [
        point | {"id": str(uuid.UUID(int=number * 2**100 + 7)), "payload": {"n": number}}
        for number, point in enumerate(files["points.jsonl"][4:])
    ]
    files["qdrant.json"]["vectors"]["text"]["distance"] = "Cosine"
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": f"test_{uuid.uuid4().hex}"}
    address = VectorAddress(folder=tmp_path / "qdrant", url=qdrant_url)
    (tmp_path / "home").mkdir()
    with harness.open_stores(tmp_path / "home", vector_address=address) as stores:
        harness.load(stores, write_bundle(tmp_path / "in", files))
        try:
            yield stores
        finally:
            harness.remove_collections(stores)


class Dying(InMemory):
    left = 10**9

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().write(name, data, over)


def test_a_dump_goes_on_and_comes_back_proven(served: Stores) -> None:
    place = Dying()
    place.left = 6
    with pytest.raises(KeyboardInterrupt):
        dump(served, place)
    place.left = 10**9
    dumped = dump(served, place)
    assert dumped.counts["points"] == POINTS
    assert 0 < dumped.reused < POINTS
    assert dumped.consistent is True
    delete_clone(served, None, "prod", Admitted(loaded=True))
    report = load(served, place)
    assert report.counts == dumped.counts
    assert report.warnings == []
