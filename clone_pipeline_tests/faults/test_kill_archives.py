"""`kill -9` of dumps into S3 and loads from there, on a real Qdrant, at random moments: what goes
on has every point, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryFile

import pytest

from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive.manifest import MANIFEST, Seal
from clone_pipeline.core.bundle.archive.state import STATE
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.points.retry import Retry
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import forks, harness
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.core.bundle.archive.making import InMemory, dump
from clone_pipeline_tests.core.bundle.samples import rows, sample
from clone_pipeline_tests.sources import write_bundle

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "50"))
POINTS, SIZE = 20_000, 8
_IN_A_ROW = 6

# Small parts: each is a checkpoint, of a thousand points.
_WORKS = """
import sys
from pathlib import Path
from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.archive import making

what, home, qdrant, s3, address = sys.argv[1:]
parts.PART_BYTES = 2**18
vectors = VectorAddress(folder=Path(home) / "qdrant", url=qdrant)
with harness.open_stores(Path(home), vector_address=vectors) as stores:
    try:
        done = getattr(making, what)(stores, archive.open_place(address, FilesAddress(s3)))
    except Conflict as error:
        done = error  # the one before was killed when all was there
print(getattr(done, "reused", 0))
"""


@dataclass
class World:
    stores: Stores
    s3: S3
    collection: str
    seconds: float = 60.0  # that the last one took which came to its end
    kills: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(20261130))

    def work(self, what: str, address: str, until: float | None = None) -> int | None:
        """A dump or a load, killed after so many seconds; the points that it found done, and None
        if it was killed."""
        qdrant = self.stores.vector_address
        arguments = (what, str(qdrant.folder.parent), str(qdrant.url), self.s3.url, address)
        env, cwd = forks.environment(**self.s3.env), qdrant.folder.parent
        with TemporaryFile() as out, TemporaryFile() as err:
            began = time.monotonic()
            process = forks.server().start(_WORKS, *arguments, cwd=cwd, env=env, out=out, err=err)
            try:
                code = process.wait(until)
            except TimeoutExpired:
                with suppress(ProcessLookupError):  # it has ended this very moment
                    os.kill(process.pid, signal.SIGKILL)
                code = process.wait()
            out.seek(0)
            err.seek(0)
            assert code in (0, -signal.SIGKILL), err.read().decode()
            if code:
                self.kills += 1
                return None
            self.seconds = time.monotonic() - began
            return int(out.read())

    def work_with_kills(self, what: str, address: str) -> int:
        """Killed again and again, and then let go on to its end; the points that this one found
        done. One that was faster than it was to be killed has come to its end, too."""
        for _ in range(self.chance.randint(1, _IN_A_ROW)):
            found = self.work(what, address, self.chance.uniform(0.0, self.seconds))
            if found is not None:
                return found
        found = self.work(what, address)
        assert found is not None
        return found

    def place(self, name: str) -> archive.Place:
        address = f"s3://{self.s3.bucket}/{name}"
        return archive.open_place(address, FilesAddress(self.s3.url))

    def remove(self, place: archive.Place) -> None:
        stored = place.read(MANIFEST, 2**20)
        assert stored is not None
        archive.remove_archive(place, sha256(stored.data).hexdigest(), Retry(self.stores))
        assert place.sizes() == {}
        place.close()

    def seal(self) -> Seal:
        """Of what is in the stores now."""
        place = InMemory()
        dump(self.stores, place)
        return archive.read_manifest(place).seal

    def delete(self) -> None:
        delete_clone(self.stores, None, "prod", Admitted(loaded=True))

    def has_collection(self) -> bool:
        with self.stores.vectors() as vectors:
            return vectors.exists(self.collection)


@pytest.fixture
def world(
    s3: S3, qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """`prod`, with many points."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    collection = f"test_{uuid.uuid4().hex}"
    files = sample()
    files["qdrant.json"]["vectors"]["text"]["size"] = SIZE
    files["points.jsonl"] = []
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": collection}
    (tmp_path / "home").mkdir()
    address = VectorAddress(folder=tmp_path / "home" / "qdrant", url=qdrant_url)
    with harness.open_stores(tmp_path / "home", vector_address=address) as stores:
        harness.load(stores, write_bundle(tmp_path / "in", files))
        chance = random.Random(7)
        with stores.vectors() as vectors:
            vectors.upsert(collection, [_point(number, chance) for number in range(POINTS)])
        yield World(stores, s3, collection)
        harness.remove_collections(stores)


def _point(number: int, chance: random.Random) -> Point:
    point_id = number if number % 2 else str(uuid.UUID(int=chance.getrandbits(128)))
    vector = [chance.gauss(0, 1) for _ in range(SIZE)]
    return Point(point_id, {"text": vector}, {"n": number, "score": chance.random()})


@pytest.mark.long
def test_dumps_that_are_killed(world: World) -> None:
    sealed = world.seal()
    assert sealed.points.count == POINTS
    world.work("dump", world.place("first").address)
    world.remove(world.place("first"))
    reused = number = 0
    while world.kills < KILLS:
        number += 1
        place = world.place(f"killed-{number}")
        reused += world.work_with_kills("dump", place.address) > 0
        assert archive.read_back(place, Retry(world.stores)).seal == sealed
        left = set(place.sizes()) - {STATE}  # it may have been killed after its last word
        assert left == {MANIFEST, *(part.name for part in archive.read_manifest(place).parts)}
        world.remove(place)
    assert reused > 0, "none has gone on with what was there"
    assert world.s3.everything() == {}
    assert world.seal() == sealed


@pytest.mark.long
def test_loads_that_are_killed(world: World) -> None:
    sealed = world.seal()
    place = world.place("archive")
    world.work("dump", place.address)
    before = world.s3.everything()
    world.delete()
    empty = rows(world.stores.catalog)
    world.work("load", place.address)
    while True:
        assert world.seal() == sealed
        assert "loads" not in rows(world.stores.catalog)
        world.delete()
        assert rows(world.stores.catalog) == empty
        assert not world.has_collection()
        if world.kills >= KILLS:
            break
        world.work_with_kills("load", place.address)
    assert world.s3.everything() == before
