"""A dump goes on where one was interrupted, never mixes, and touches nothing but its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core.bundle.archive import open_place, parts
from clone_pipeline.core.bundle.archive.manifest import MANIFEST
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.bundle.archive.place import ANYTHING, Place
from clone_pipeline.core.bundle.archive.state import STATE
from clone_pipeline.core.errors import Conflict, InProgress
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point

from .making import POINTS, InMemory, dump, load
from .marked import Marked


class Dying(InMemory):
    """Fails at so many writes."""

    left = 10**9

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().write(name, data, over)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 2000)


def names(place: InMemory) -> list[str]:
    """Without what differs between two dumps: when the manifest was written."""
    return sorted(place.files)


def interrupt(stores: Stores, vectors: EmbeddedStore, writes: int) -> Dying:
    place = Dying()
    place.left = writes
    with pytest.raises(KeyboardInterrupt):
        dump(stores, place, vectors)
    place.left, place.log = 10**9, []
    return place


@pytest.fixture
def marked(one_store: Stores) -> Iterator[EmbeddedStore]:
    store = Marked.open(one_store.vector_address.folder)
    try:
        yield store
    finally:
        store.close()


@pytest.mark.outside
def test_it_goes_on_wherever_it_was_interrupted(
    one_store: Stores, marked: EmbeddedStore, elsewhere: Stores
) -> None:
    whole = InMemory()
    dump(one_store, whole, marked)
    count, reused = len(whole.log), set()
    for writes in range(count):
        place = interrupt(one_store, marked, writes)
        assert MANIFEST not in place.files
        dumped = dump(one_store, place, marked)
        assert names(place) == names(whole)
        assert dumped.counts["points"] == POINTS
        assert dumped.consistent is True
        reused.add(dumped.reused)
    assert {0, POINTS} < reused
    assert load(elsewhere, place).counts["points"] == POINTS


def test_it_begins_anew_where_the_source_has_moved(
    one_store: Stores, marked: EmbeddedStore
) -> None:
    place = interrupt(one_store, marked, 12)
    marked.upsert("ns_prod_store", [Point(100, {"text": [9.0, 9.0, 9.0]}, {"new": True})])
    marked.mark = "2"
    assert dump(one_store, place, marked).reused == 0
    fresh = InMemory()
    dump(one_store, fresh, marked)
    assert names(place) == names(fresh)


def test_it_begins_anew_where_the_store_cannot_tell(one_store: Stores) -> None:
    with one_store.vectors() as vectors:
        assert isinstance(vectors, EmbeddedStore)
        place = interrupt(one_store, vectors, 12)
        dumped = dump(one_store, place, vectors)
    assert (dumped.reused, dumped.consistent) == (0, None)


def test_a_part_that_was_damaged_meanwhile_is_written_again(
    one_store: Stores, marked: EmbeddedStore
) -> None:
    place = interrupt(one_store, marked, 12)
    name = next(one for one in place.files if one.startswith("points-"))
    place.files[name] = place.files[name][:-1] + b"\0"
    dump(one_store, place, marked)
    fresh = InMemory()
    dump(one_store, fresh, marked)
    assert {name: place.files[name] for name in names(place) if name != MANIFEST} == {
        name: fresh.files[name] for name in names(fresh) if name != MANIFEST
    }


def test_it_says_that_points_were_written_meanwhile(
    one_store: Stores, marked: EmbeddedStore
) -> None:
    class Moving(InMemory):
        def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
            marked.mark += "+"
            return super().write(name, data, over)

    assert dump(one_store, Moving(), marked).consistent is False


def test_of_two_into_one_place_the_earlier_one_stops(
    one_store: Stores, marked: EmbeddedStore
) -> None:
    class Overtaken(InMemory):
        def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
            if name.startswith("points-") and len(self.log) == 3:
                self.log.append("overtaken")
                dump(one_store, self, marked)
            return super().write(name, data, over)

    place = Overtaken()
    with pytest.raises(InProgress, match="Another dump into memory began"):
        dump(one_store, place, marked)
    assert place.is_whole


def test_an_answer_that_was_lost_stops_nobody(one_store: Stores, marked: EmbeddedStore) -> None:
    class Deaf(InMemory):
        """Writes on condition are tried again by the client, which has not heard that they were
        done."""

        def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
            version = super().write(name, data, over)
            return version if over == ANYTHING else super().write(name, data, over)

    place = Deaf()
    dump(one_store, place, marked)
    assert place.is_whole
    assert STATE not in place.files


def test_an_archive_is_not_written_over(one_store: Stores, place: Place) -> None:
    dump(one_store, place)
    before = place.sizes()
    with pytest.raises(Conflict, match="holds an archive already; name a new place"):
        dump(one_store, place)
    assert place.sizes() == before


@pytest.mark.parametrize("name", ["holiday.jpg", "points.jsonl", "a/b"])
def test_what_is_not_ours_is_left_alone(one_store: Stores, name: str) -> None:
    place = InMemory({name: b"precious"})
    with pytest.raises(Conflict, match=f"holds '{name}', which no dump"):
        dump(one_store, place)
    assert place.files == {name: b"precious"}


def test_an_unfinished_dump_of_another_namespace_is_left_alone(
    one_store: Stores, marked: EmbeddedStore
) -> None:
    place = interrupt(one_store, marked, 12)
    place.files[STATE] = place.files[STATE].replace(b"ns_prod000001", b"ns_other00001")
    before = dict(place.files)
    with pytest.raises(Conflict, match="an unfinished dump of ns_other00001; name a new place"):
        dump(one_store, place, marked)
    assert place.files == before


def test_a_state_that_is_not_ours_is_left_alone(one_store: Stores) -> None:
    place = InMemory({STATE: b"{}"})
    with pytest.raises(Conflict, match="which this program has not written"):
        dump(one_store, place)
    assert place.files == {STATE: b"{}"}


def test_files_in_a_folder_are_private(one_store: Stores, tmp_path: Path) -> None:
    dump(one_store, open_place((tmp_path / "new folder").as_uri(), FilesAddress()))
    folder = tmp_path / "new folder"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
