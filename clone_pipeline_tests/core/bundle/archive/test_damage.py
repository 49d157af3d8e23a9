"""Whatever is wrong with an archive is refused with the name of the part, before anything shows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.manifest import MANIFEST, signed
from clone_pipeline.core.errors import BundleError, VerificationFailed
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import rows
from clone_pipeline_tests.sources import write_bundle

from .making import InMemory, dump, load, many_points


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> InMemory:
    """A good archive of several parts."""
    folder, place = tmp_path_factory.mktemp("made"), InMemory()
    with pytest.MonkeyPatch.context() as patch, harness.open_stores(folder) as stores:
        patch.setattr(parts, "PART_BYTES", 2000)
        harness.load(stores, write_bundle(folder / "in", many_points()))
        dump(stores, place)
    return place


@pytest.fixture
def whole(made: InMemory) -> InMemory:
    return made.copy()


def refused(stores: Stores, place: InMemory, vectors: VectorStore | None = None) -> BundleError:
    with pytest.raises(BundleError) as caught:
        load(stores, place, vectors)
    return caught.value


def is_empty(stores: Stores) -> bool:
    left = stores.vector_address.folder / "collection"
    return rows(stores.catalog) == {} and not (left.exists() and list(left.iterdir()))


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, elsewhere: Stores) -> Iterator[None]:
    """Whatever is refused, leaves nothing."""
    yield
    assert is_empty(elsewhere)


def flip(place: InMemory, name: str, chance: random.Random) -> str:
    data = bytearray(place.files[name])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    place.files[name] = bytes(data)
    return name


def remove(place: InMemory, name: str, chance: random.Random) -> str:
    del place.files[name]
    return name


def cut(place: InMemory, name: str, chance: random.Random) -> str:
    place.files[name] = place.files[name][: chance.randrange(len(place.files[name]))]
    return name


def lengthen(place: InMemory, name: str, chance: random.Random) -> str:
    place.files[name] += chance.randbytes(chance.randrange(1, 50))
    return name


def swap(place: InMemory, name: str, chance: random.Random) -> str:
    """With another part's content, so that it is good in itself."""
    other = chance.choice(sorted(place.files.keys() - {name, MANIFEST}))
    place.files[name] = place.files[other]
    return name


DAMAGES: list[Callable[[InMemory, str, random.Random], str]] = [
    *(flip, flip, flip),
    *(remove, cut, lengthen, swap),
]


def damage(stores: Stores, whole: InMemory, seeds: range) -> None:
    with stores.vectors() as vectors:
        for seed in seeds:
            chance = random.Random(seed)
            place = whole.copy()
            name = chance.choice([*place.files, MANIFEST])
            chance.choice(DAMAGES)(place, name, chance)
            assert refused(stores, place, vectors).details["file"] == name


def test_a_hundred_damages(whole: InMemory, elsewhere: Stores) -> None:
    damage(elsewhere, whole, range(100))


@pytest.mark.long
def test_a_thousand_damages(whole: InMemory, elsewhere: Stores) -> None:
    damage(elsewhere, whole, range(1000, 2000))


def rewritten(place: InMemory, change: Callable[[dict[str, Any]], object]) -> InMemory:
    """With a manifest that somebody has written who knows how."""
    document = json.loads(place.files[MANIFEST])
    del document["sha256"]
    change(document)
    place.files[MANIFEST] = signed(document)
    return place


@pytest.mark.parametrize(
    "name",
    ["../other/points.jsonl.zst", "/etc/passwd", "namespace.json", "points-00000-00000-x", ""],
)
def test_an_entry_outside_of_the_archive(whole: InMemory, elsewhere: Stores, name: str) -> None:
    place = rewritten(whole, lambda document: document["parts"][3].update(name=name))
    error = refused(elsewhere, place)
    assert error.details["file"] == name
    assert "cannot be a part" in error.message


def test_a_part_that_stands_there_twice(whole: InMemory, elsewhere: Stores) -> None:
    place = rewritten(whole, lambda document: document["parts"].append(document["parts"][0]))
    assert "twice" in refused(elsewhere, place).message


@pytest.mark.parametrize("lines", [1, 10**6])
def test_a_part_with_other_lines_than_it_says(
    whole: InMemory, elsewhere: Stores, lines: int
) -> None:
    def change(document: dict[str, Any]) -> None:
        part = next(one for one in document["parts"] if one["name"].startswith("points-"))
        part["lines"] = lines

    assert f"and manifest.json says {lines}" in refused(elsewhere, rewritten(whole, change)).message


def test_another_version(whole: InMemory, elsewhere: Stores) -> None:
    place = rewritten(whole, lambda document: document.update(version=3))
    assert "reads versions 1 and 2" in refused(elsewhere, place).message


def test_a_dump_without_its_manifest_is_none(whole: InMemory, elsewhere: Stores) -> None:
    del whole.files[MANIFEST]
    error = refused(elsewhere, whole)
    assert error.message == "manifest.json: is missing, so there is no archive at memory."


def test_records_that_are_not_the_sealed_ones(whole: InMemory, elsewhere: Stores) -> None:
    def change(document: dict[str, Any]) -> None:
        document["seal"]["records"]["bucket"]["digest"] = "0" * 32

    with pytest.raises(VerificationFailed, match="The buckets that were loaded are not"):
        load(elsewhere, rewritten(whole, change))
