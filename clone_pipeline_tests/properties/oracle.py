"""What a clone of a marked namespace must be: its bundle, and what its plan has to tell."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from clone_pipeline.core.plan.plan import Plan
from clone_pipeline.core.references import IdMap, Reference
from clone_pipeline.core.vectors.ids import id_order

from .marks import Clone, Told, after, told
from .namespaces import KINDS, Source

# Of a namespace's document: what is the clone's own, and no copy of anything.
_OWN_TIMES = ("created_at", "updated_at")
_SWITCHES = {"collection": "collections", "retriever": "retrievers", "taxonomy": "taxonomies"}

Include = Mapping[str, bool]


def clone_of(ids: IdMap) -> Clone:
    named = {old: new for pairs in ids.counterparts.values() for old, new in pairs.items()}
    return Clone(ids.namespace, ids.organization, ids.ids, ids.names, ids.other_environment, named)


def included(kind: str, include: Include) -> bool:
    return include[_SWITCHES[kind]] if kind in _SWITCHES else True


def expected(source: Source, clone: Clone, name: str, include: Include) -> dict[str, Any]:
    """The bundle that a dump of the clone must be, but for the Qdrant collection's name."""
    files = {file: after(content, clone) for file, content in source.marked.items()}
    for file, kind in KINDS.items():
        if not included(kind, include):
            files[file] = []
        elif kind != "namespace":
            files[file].sort(key=lambda one, key=f"{kind}_id": _order(one, key))  # type: ignore[misc]
    points = files["points.jsonl"] if include["collections"] else []
    files["points.jsonl"] = sorted(points, key=lambda point: id_order(point["id"]))
    files["namespace.json"] |= {"organization_id": clone.organization[1], "namespace_name": name}
    return files


def _order(document: dict[str, Any], key: str) -> tuple[bytes, int]:
    return document[key].encode(), document["version"] if key == "taxonomy_id" else 0


def apart(expected: Any, actual: Any, path: str = "", *, vectors: bool = False) -> Iterator[str]:
    """Where two JSON values differ, in their values, types and lengths. `vectors` compares what
    stands under that key as a store gives it back."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in dict.fromkeys([*expected, *actual]):
            place = f"{path}/{key}"
            if key not in expected or key not in actual:
                yield f"{place}: {'extra' if key in actual else 'missing'}"
            elif vectors and key == "vector":
                yield from _vectors_apart(expected[key], actual[key], place)
            else:
                yield from apart(expected[key], actual[key], place, vectors=vectors)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from apart(left, right, f"{path}/{index}", vectors=vectors)
    elif json.dumps(expected) != json.dumps(actual):  # tells 1, 1.0, true and -0.0 apart
        yield f"{path}: {json.dumps(expected)} and not {json.dumps(actual)}"


def bundles_apart(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """Where a dump is not what it must be, the clone's own values aside. What a backup takes along
    for whoever restores it is none of its documents."""
    own = {**actual["namespace.json"]}
    for field in _OWN_TIMES:
        own.pop(field, None)
    left, right = {**expected}, {**actual, "namespace.json": own}
    for files in (left, right):
        files.pop("cleared.json", None)
    return list(apart(left, right, vectors=True))


def _vectors_apart(expected: dict[str, Any], actual: dict[str, Any], path: str) -> Iterator[str]:
    yield from apart(sorted(expected), sorted(actual), path)
    for name in expected.keys() & actual.keys():
        if not _same(name, expected[name], actual[name]):
            yield f"{path}/{name}: {expected[name]} and not {actual[name]}"


def _same(name: str, left: Any, right: Any) -> bool:
    """To float32; a cosine vector but for its length."""
    if isinstance(left, dict):
        same = left["indices"] == right["indices"]
        return same and _float32(left["values"]) == _float32(right["values"])
    if isinstance(left[0], list):
        return [_float32(row) for row in left] == [_float32(row) for row in right]
    if name != "text_dense":
        return _float32(left) == _float32(right)
    one, other = (np.asarray(values) / np.linalg.norm(values) for values in (left, right))
    return bool(np.abs(one - other).max() < 1e-6)


def _float32(values: Iterable[float]) -> bytes:
    return array("f", values).tobytes()


def standing(value: Any, old: Collection[str]) -> int:
    """How often one of these ids is a whole value, a whole key, or all that a path is made of."""
    if isinstance(value, dict):
        inside = sum(standing(inner, old) for inner in value.values())
        return inside + sum(standing(key, old) for key in value)
    if isinstance(value, list):
        return sum(standing(inner, old) for inner in value)
    return int(isinstance(value, str) and set(value.split("/")) <= set(old))


def unlisted_in(points: Iterable[dict[str, Any]], clone: Clone) -> int:
    """How many ids of the source the payloads of a clone still hold as a whole, files aside."""
    pairs = [
        clone.namespace,
        clone.organization,
        *(i for ids in clone.ids.values() for i in ids.items()),
    ]
    old = {before for before, after in pairs if before != after}
    found = 0
    for point in points:
        key = point["payload"].get("_internal", {}).get("processing", {}).get("object_key_source")
        found += standing(point["payload"], old) - standing(key, old)
    return found


def plan_apart(source: Source, plan: Plan, include: Include) -> list[str]:
    """Where the resources that a plan holds are not what they must be."""
    files = expected(source, clone_of(plan.id_map), plan.request.namespace_name, include)
    wanted: dict[tuple[str, str, int], Any] = {}
    for file, kind in KINDS.items():
        for document in [files[file]] if kind == "namespace" else files[file]:
            if kind != "object":
                version = document["version"] if kind == "taxonomy" else 0
                wanted[kind, document[f"{kind}_id"], version] = document
    del wanted["namespace", plan.target_namespace_id, 0]["organization_id"]
    found = {(one.kind, one.target_id, one.version): one.raw for one in plan.resources}
    for field in _OWN_TIMES:
        del found["namespace", plan.target_namespace_id, 0][field]
    return [
        text
        for key in dict.fromkeys([*wanted, *found])
        for text in apart(wanted.get(key), found.get(key), "/".join(map(str, key)))
    ]


def telling_apart(source: Source, plan: Plan, include: Include) -> list[str]:
    """What a plan does not tell of the references that do not point into the clone, and what it
    tells of others."""
    clone = clone_of(plan.id_map)
    tellings: dict[tuple[str, str], list[Reference]] = {}
    for one in plan.references:
        tellings.setdefault((one.resource, one.resource_id), []).append(one)
    wanted: dict[tuple[str, str], list[Told]] = {}
    for kind, document in source.configuration():
        if included(kind, include):
            key = kind, document[f"{kind}_id"].value
            wanted.setdefault(key, []).extend(told(document, clone))
    found = []
    for key in wanted:
        told_here = tellings.pop(key, [])
        found += [
            f"{key}: not told {one}"
            for one in wanted[key]
            if not any(_tells(telling, one) for telling in told_here)
        ]
        found += [
            f"{key}: told in vain {telling}"
            for telling in told_here
            if telling.outcome in ("cleared", "unresolved")
            and not any(_tells(telling, one) for one in wanted[key])
        ]
    return found + [f"{key}: not in the clone" for key in tellings]


def _tells(telling: Reference, one: Told) -> bool:
    gone = telling.removed
    if telling.outcome == "cleared" and gone is not None and gone != telling.path:
        if one.path.startswith((f"{gone}.", f"{gone}[")):
            return True  # it went with what stood around it
    same_place = (telling.path, telling.outcome) == (one.path, one.outcome)
    return same_place and one.value in (None, telling.old)
