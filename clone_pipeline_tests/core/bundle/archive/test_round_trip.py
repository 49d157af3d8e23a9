"""What an archive gives back is what was dumped, to the last bit."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.place import Place
from clone_pipeline.core.bundle.archive.zstd import ZstdFile
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import exact, read_bundle, sample
from clone_pipeline_tests.sources import write_bundle

from .making import POINTS, InMemory, dump, load, many_points


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 600)


def test_everything_comes_back_in_an_empty_deployment(
    stores: Stores, place: Place, elsewhere: Stores, tmp_path: Path
) -> None:
    dumped = dump(stores, place)
    assert dumped.counts["points"] == POINTS
    assert sum(name.startswith("points-") for name in place.sizes()) > 5
    report = load(elsewhere, place)
    assert (report.counts, report.warnings) == (dumped.counts, [])
    before = read_bundle(harness.dump(stores, "prod", tmp_path / "before"))
    after = read_bundle(harness.dump(elsewhere, "prod", tmp_path / "after"))
    assert exact(before) == exact(after)


def test_a_cosine_collection_comes_back_and_is_proven(tmp_path: Path, elsewhere: Stores) -> None:
    files = many_points(20)
    files["qdrant.json"]["vectors"]["text"]["distance"] = "Cosine"
    (tmp_path / "home").mkdir()
    place = InMemory()
    with harness.open_stores(tmp_path / "home") as stores:
        harness.load(stores, write_bundle(tmp_path / "in", files))
        dump(stores, place)
    assert load(elsewhere, place).warnings == []


def test_a_namespace_with_nothing_in_it(tmp_path: Path, elsewhere: Stores) -> None:
    files = {"namespace.json": sample()["namespace.json"]}
    (tmp_path / "home").mkdir()
    place = InMemory()
    with harness.open_stores(tmp_path / "home") as stores:
        harness.load(stores, write_bundle(tmp_path / "in", files))
        dump(stores, place)
    assert len(place.files) == 3
    assert load(elsewhere, place).counts["points"] == 0


def test_its_parts_put_together_are_a_bundle(one_store: Stores, tmp_path: Path) -> None:
    place = InMemory()
    dump(one_store, place)
    folder = tmp_path / "by hand"
    folder.mkdir()
    for name in sorted(place.files):
        if name.endswith(".jsonl.zst"):
            stem = name.partition("-")[0]
            one = stem in ("namespace", "qdrant")
            with (folder / f"{stem}.{'json' if one else 'jsonl'}").open("ab") as opened:
                opened.write(ZstdFile(io.BytesIO(place.files[name])).read())
    expected = harness.dump(one_store, "prod", tmp_path / "out")
    assert exact(read_bundle(folder)) == exact(read_bundle(expected))
