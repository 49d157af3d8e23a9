"""Follows the cases of a world on their way: load, dump, a clone by each lane, the proof."""

from __future__ import annotations

import json
import math
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from clone_pipeline.core import bundle
from clone_pipeline.core.bundle import LoadReport
from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline.core.errors import BundleError, CloneError
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.digest import canonical, vector_bytes
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.verify import verify_pair

from .. import harness
from .cases import Case, World

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
KEPT = "kept"


@dataclass
class Way:
    """What became of one case; `notes` is what load told of its namespace."""

    case: Case
    load: str = ""
    dump: str = ""
    stream: str = ""
    native: str = ""
    proof: str = ""


def follow(world: World, stores: Stores, folder: Path) -> list[Way]:
    """In the order of the cases."""
    ways = {number: Way(case) for number, case in enumerate(world.cases, start=1)}
    name = f"fidelity_{uuid.uuid4().hex}"
    report = _load(world, ways, stores, folder / name, name)
    if report is None:
        return list(ways.values())
    try:
        _go_on(ways, report, stores, folder, name)
    finally:
        _remove(stores, name)
    return list(ways.values())


def _go_on(
    ways: dict[int, Way], report: LoadReport, stores: Stores, folder: Path, name: str
) -> None:
    given = {number: _point(number, ways[number].case) for number in _loaded(ways)}
    _write_as_others(given, ways, stores, name)
    held = _read(stores, name)
    for number, point in given.items():
        case = ways[number].case
        if case.by_others is not None:
            ways[number].load = "not in a bundle; the server keeps " + _shown(held[number])
        else:
            ways[number].load = _told(changes(point, held[number]), report, stores)
    _dump(ways, held, stores, folder, name)
    for lane in ("stream", "native"):
        _clone(ways, held, stores, name, lane)


def _remove(stores: Stores, name: str) -> None:
    """The server may be somebody's own."""
    with stores.catalog.read() as connection:
        query = select(schema.namespaces.c.document)
        names = [
            document["infrastructure"]["qdrant_collection"]
            for document in connection.execute(query).scalars()
        ]
        names += connection.execute(select(schema.clones.c.qdrant_collection)).scalars()
    with stores.vectors() as store:
        for collection in {one for one in names if name in one}:
            store.delete(collection)


def _loaded(ways: dict[int, Way]) -> list[int]:
    return [number for number, way in ways.items() if not way.load]


def _line(number: int, case: Case) -> str:
    return f'{{"id":{number},"vector":{case.vector},"payload":{case.payload}}}'


def _point(number: int, case: Case) -> Point:
    vectors = json.loads(case.vector)
    return Point(number, vectors, json.loads(case.payload))


def _load(
    world: World, ways: dict[int, Way], stores: Stores, folder: Path, name: str
) -> LoadReport | None:
    """Loads what is not refused; a refusal names its line."""
    folder.mkdir()
    namespace = {"namespace_id": f"ns_{name}", "namespace_name": name, "organization_id": "org_1"}
    (folder / "namespace.json").write_text(json.dumps(namespace))
    (folder / "qdrant.json").write_text(json.dumps(world.config))
    while numbers := _loaded(ways):
        lines = [_line(number, ways[number].case) for number in numbers]
        (folder / "points.jsonl").write_text("\n".join(lines) + "\n")
        with stores.vectors() as store:
            try:
                return bundle.load(folder, stores.catalog, store, NOW)
            except BundleError as error:
                _refuse([ways[numbers[error.details["line"] - 1]]], error.details["reason"])
            except CloneError as error:
                _refuse(list(ways.values()), f"by the server: {error.message.split(': ')[-1]}")
    return None


def _refuse(ways: list[Way], reason: str) -> None:
    for way in ways:
        way.load = f"refused: {reason.rstrip('.')}"
        way.dump = way.stream = way.native = way.proof = "-"


def _write_as_others(
    given: dict[int, Point], ways: dict[int, Way], stores: Stores, name: str
) -> None:
    written = {
        number: ways[number].case.by_others
        for number in given
        if ways[number].case.by_others is not None
    }
    if written:
        with stores.vectors() as store:
            points = [Point(number, {"v": v or []}, {}) for number, v in written.items()]
            store.write(_collection(stores, name), [EncodedPoint.of(point) for point in points])


def _collection(stores: Stores, name: str) -> str:
    with stores.catalog.read() as connection:
        return namespaces.resolve(connection, None, name).qdrant_collection


def _read(stores: Stores, name: str) -> dict[int, Point]:
    with stores.vectors() as store:
        points = store.read(_collection(stores, name), 1000).points
        return {int(point.id): point.plain() for point in points}


def _told(what: str, report: LoadReport, stores: Stores) -> str:
    if what == KEPT:
        return what
    return f"{what}; {'told' if report.warnings else 'SILENT'}"


def _dump(
    ways: dict[int, Way], held: dict[int, Point], stores: Stores, folder: Path, name: str
) -> None:
    try:
        out = harness.dump(stores, name, folder / f"{name}.out")
    except CloneError as error:
        for number in held:
            ways[number].dump = "refused: " + _short(error)
        return
    for line in (out / "points.jsonl").read_text().split("\n")[:-1]:
        item = json.loads(line)
        number = item["id"]
        ways[number].dump = changes(held[number], Point(number, item["vector"], item["payload"]))


def _clone(
    ways: dict[int, Way], held: dict[int, Point], stores: Stores, name: str, lane: str
) -> None:
    copy = f"{name}_{lane}"
    try:
        harness.clone(
            stores,
            name,
            copy,
            lane=lane,
            verify="full",
            preserve_resource_ids=lane == "native",
            include_resources=harness.everything(),
        )
    except CloneError as error:
        for number in held:
            setattr(ways[number], lane, "refused: " + _short(error))
        return
    for number, point in _read(stores, copy).items():
        setattr(ways[number], lane, changes(held[number], point))
    if all(way.proof for way in ways.values()):
        return
    for number, verdict in _prove(held, stores, name, copy):
        ways[number].proof = verdict


def _prove(
    held: dict[int, Point], stores: Stores, name: str, copy: str
) -> Iterator[tuple[int, str]]:
    """The clone was proven, or it would not be there. Then a number of each of its points is made
    another one, and the proof asked again."""
    before = verify_pair(stores, None, name, copy)
    collection = _collection(stores, copy)
    there = _read(stores, copy)
    with stores.vectors() as store:
        store.write(collection, [EncodedPoint.of(_altered(point)) for point in there.values()])
    after = verify_pair(stores, None, name, copy)
    found = {difference.id for difference in after.differences.first}
    for number in held:
        proven = "proven" if before.equal and before.unchanged else "NOT PROVEN"
        seen = "a change is found" if str(number) in found and not after.good else "CHANGE NOT SEEN"
        yield number, f"{proven}; {seen}"


# ---- what differs ------------------------------------------------------------------------------


def changes(before: Point, after: Point) -> str:
    """How one point became another: `kept`, or by how much its numbers changed."""
    found = []
    if canonical(before.payload) != canonical(after.payload):
        pairs = list(_numbers(before.payload, after.payload))
        found.append(_by(pairs) if pairs else "something else")
    for name in before.vectors.keys() | after.vectors.keys():
        found += _vector_changes(before.vectors.get(name), after.vectors.get(name))
    return "; ".join(found) or KEPT


def _numbers(before: Any, after: Any) -> Iterator[tuple[float, float]]:
    if isinstance(before, float) and isinstance(after, float):
        yield before, after
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            yield from _numbers(before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=True):
            yield from _numbers(one, other)


def _by(pairs: list[tuple[float, float]]) -> str:
    changed = [pair for pair in pairs if struct.pack("<d", pair[0]) != struct.pack("<d", pair[1])]
    if not changed:
        return "something else"
    places = max(abs(_bits(one) - _bits(other)) for one, other in changed)
    last = "1 last place" if places == 1 else f"up to {places} last places"
    return f"{len(changed)} of {len(pairs)} changed by {last}"


def _bits(number: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", abs(number)))[0])


def _vector_changes(before: Any, after: Any) -> list[str]:
    if before is None or after is None:
        return ["another vector"]
    if vector_bytes(before) == vector_bytes(after):
        return []
    one, other = (_array(vector) for vector in (before, after))
    if one.shape != other.shape:
        return ["another size"]
    if np.isnan(other).all():
        return ["every number became NaN"]
    lengths = [np.linalg.norm(side, axis=-1, keepdims=True) for side in (one, other)]
    if abs(lengths[0] - lengths[1]).max() > 1e-3:
        unit = [side / length for side, length in zip((one, other), lengths, strict=True)]
        return [f"scaled to length 1, then each number changed {_less(*unit)}"]
    return [f"each number changed {_less(one, other)}"]


def _array(vector: Any) -> Any:
    values = vector["values"] if isinstance(vector, dict) else vector
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def _less(one: Any, other: Any) -> str:
    """As a power of ten, which does not depend on the processor."""
    apart = float(np.abs(one - other).max())
    return f"by less than 1e{math.floor(math.log10(apart)) + 1}" if apart else "by nothing"


def _shown(point: Point) -> str:
    return ", ".join(f"{number:g}" for number in point.vectors["v"])


def _short(error: CloneError) -> str:
    return error.message.split(" (A clone")[0].split("; leave")[0]


# ---- a number of another size ------------------------------------------------------------------


def _altered(point: Point) -> Point:
    if point.payload:
        key = next(iter(point.payload))
        return point._replace(payload={**point.payload, key: _other(point.payload[key])})
    if point.vectors:
        name, vector = next(iter(point.vectors.items()))
        return point._replace(vectors={name: _other_vector(vector)})
    return point._replace(payload={"more": 1})


def _other(value: Any) -> Any:
    if isinstance(value, dict | list) and not value:
        return None
    if isinstance(value, dict):
        return {key: _other(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_other(value[0]), *value[1:]]
    if isinstance(value, float):
        return value * 0.9999999999 if abs(value) > 1e-300 else 1e-300
    if isinstance(value, str):
        return f"{value}."
    return 5 if value is None or isinstance(value, bool) else value ^ 1


def _other_vector(vector: Any) -> Any:
    if isinstance(vector, dict):
        return {"indices": [*vector["indices"], 9], "values": [*vector["values"], 1.0]}
    if isinstance(vector[0], list):
        return [_other_vector(vector[0]), *vector[1:]]
    last = vector[-1]
    if math.isnan(last):  # with Cosine, one of them makes the server keep nothing else
        return [0.5] * len(vector)
    return [*vector[:-1], last + 1 if abs(last) < 255 else last / 2]
