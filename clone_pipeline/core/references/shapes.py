"""What is done at a place, by the shape of its row. One function each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .engine import LOOSE, NOWHERE, Cut, Node, Walk
from .model import ACTS, ACTS_AGAIN, NOTHING, OF_ORGANIZATION, WAS_SET, Outcome, Row
from .resolver import PAYLOAD_FIELD, TEMPLATE, Verdict, is_payload_path, secrets_in

_EMPTY = ("", "null")


def own_id(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """The resource's own id: no reference, so it is not reported."""
    if row.target == "namespace":
        old, new = walk.resolver.map.namespace
    else:
        old, new = value, walk.resolver.map.ids.get(row.target, {}).get(value, value)
    if value != old or new == old:
        return value
    walk.own_ids.append((path, old))
    return new


def one_id(walk: Walk, row: Row, value: Any, path: str) -> Any:
    if isinstance(value, list):
        return walk.value(Node(items=Node(row=row)), value, path)
    if row.target in OF_ORGANIZATION:
        return _of_organization(walk, row, value, path)
    if not isinstance(value, str) or value in _EMPTY:
        return value
    if "{{" in value:
        return _template(walk, row, value, path)
    if _is_elsewhere(walk, row, value):
        return _kept_elsewhere(walk, value, path)
    return walk.apply(row, path, value, walk.resolver.decide(row.target, value))


def key(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """An object key that is an id; an object's keys cannot be required."""
    if _is_elsewhere(walk, row, value):
        return _kept_elsewhere(walk, value, path)
    return walk.apply(row, path, value, walk.resolver.decide(row.target, value))


def _is_elsewhere(walk: Walk, row: Row, value: str) -> bool:
    return "bucket" in row.target.split(" or ") and (walk.in_elsewhere or value in walk.elsewhere)


def _kept_elsewhere(walk: Walk, value: str, path: str) -> str:
    walk.note(path, "bucket", value, "kept", "stands in another namespace on purpose", new=value)
    return value


def _template(walk: Walk, row: Row, value: str, path: str) -> str:
    walk.note(path, row.target, value, "kept", TEMPLATE, new=value)
    return mention(walk, value, path)


def namespace(walk: Walk, row: Row, value: Any, path: str) -> Any:
    if not isinstance(value, str) or value in _EMPTY or "{{" in value:
        return value
    return walk.apply(row, path, value, walk.resolver.decide_namespace(value))


def organization(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """The organization's internal id beside a resource."""
    old, new = walk.resolver.map.organization
    if value != old or new == old:
        return value
    return walk.apply(row, path, value, Verdict("rewritten", "organization", new, ""))


def _of_organization(walk: Walk, row: Row, value: Any, path: str) -> Any:
    if not value or value in _EMPTY:
        return value
    if isinstance(value, str) and "{{" in value and not row.secret:
        return _template(walk, row, value, path)
    old = value if isinstance(value, str) and not row.secret else ""
    verdict = walk.resolver.decide_organization(row.target, old)
    if verdict.state == "kept":
        walk.note(path, row.target, old, "kept", verdict.reason, new=old)
        return value
    result = walk.outside(row, path, row.target, old, verdict.reason, value)
    if row.secret and isinstance(result, Cut):
        return Cut(result.levels, [replace(gone, parked=WAS_SET) for gone in result.references])
    return result


def acts(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """A setting that acts, or that two namespaces must not share: never comes over."""
    if not value or walk.probe:
        return value
    old = value if isinstance(value, str) and not row.secret else ""
    if walk.restoring and not row.secret and walk.resource[0] != "namespace":
        walk.note(path, row.target, old, "kept", ACTS_AGAIN, new=old)
        return value
    parked = WAS_SET if row.secret else value
    walk.note(path, row.target, old, "cleared", ACTS, parked=parked, removed=path)
    return False if value is True else None


def ends_with_own_id(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """A name that the platform makes of the resource's own id."""
    if not isinstance(value, str) or value in _EMPTY:
        return value
    ids = walk.resolver.map.ids.get(row.target, {})
    own = walk.document.get(f"{row.target}_id")
    for old, new in ids.items():
        if own in (old, new) and value.endswith(old):
            stem = value[: len(value) - len(old)]
            return stem + walk.apply(row, path, old, walk.resolver.decide(row.target, old))
    if walk.restoring:
        walk.note(path, row.target, value, "kept", ACTS_AGAIN, new=value)
        return value
    reason = f"is not made of the {row.target}'s id, so it names what belongs to the source"
    return walk.outside(row, path, row.target, value, reason, value)


def field_name(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """A payload path or a feature URI; what is neither is text."""
    if not isinstance(value, str):
        return walk.value(NOWHERE, value, path)
    uri = walk.resolver.feature_uri(value)
    if uri is not None:
        return _feature_uri(walk, value, uri, path)
    if row is LOOSE and not is_payload_path(value):
        return text(walk, row, value, path)
    if "{{" in value:
        return text(walk, row, value, path)
    name, taxonomies = walk.resolver.field_name(value)
    if not taxonomies:
        return text(walk, row, value, path) if row is LOOSE else value
    for old, new in taxonomies:
        if new is None or new == old:
            verdict = walk.resolver.decide("taxonomy", old)
            reason = verdict.reason if verdict.state == "kept" else PAYLOAD_FIELD
            walk.note(path, "taxonomy", old, "kept", reason, new=old)
        else:
            walk.note(path, "taxonomy", old, "rewritten", new=new)
    return name


def _feature_uri(walk: Walk, value: str, uri: tuple[str, str, str], path: str) -> str:
    """`namespace://collection/feature`: both segments, the collection by id or name."""
    required = Row("", "collection", clears=NOTHING)
    scheme, collection, rest = uri
    if scheme != "namespace":
        scheme = walk.apply(required, path, scheme, walk.resolver.decide_namespace(scheme))
    verdict = walk.resolver.decide("collection", collection)
    return f"{scheme}://{walk.apply(required, path, collection, verdict)}{rest}"


def field_names(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Payload paths among the strings at any depth."""
    if isinstance(value, dict):
        return {
            field_name(walk, row, name, f"{path}.{name}"): field_names(
                walk, row, inner, f"{path}.{name}"
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            field_names(walk, row, inner, f"{path}[{index}]") for index, inner in enumerate(value)
        ]
    return field_name(walk, row, value, path) if isinstance(value, str) else value


def text(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Free text at any depth: never rewritten, but what it names is told."""
    if isinstance(value, dict):
        for name, inner in value.items():
            text(walk, row, inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            text(walk, row, inner, f"{path}[{index}]")
    elif isinstance(value, str):
        mention(walk, value, path)
    return value


def mention(walk: Walk, value: str, path: str) -> str:
    for kind, old in walk.resolver.mentions(value):
        walk.note(path, kind, old, "mentioned", "stands literally in text")
    for name in secrets_in(value) if "{{" in value else ():
        verdict = walk.resolver.decide_organization("organization secret", name)
        outcome: Outcome = "kept" if verdict.state == "kept" else "unresolved"
        walk.note(path, verdict.kind, name, outcome, verdict.reason, new=name)
    return value


def constant(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Data that may happen to be an id: rewritten only where the whole of it is one."""
    if isinstance(value, dict):
        return {name: constant(walk, row, inner, f"{path}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [constant(walk, row, inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    verdict = walk.resolver.decide_any(value)
    if verdict is None:
        return mention(walk, value, path)
    return as_data(walk, value, path, verdict)


def as_data(walk: Walk, value: str, path: str, verdict: Verdict) -> str:
    """Data that is an id: never removed, because that would change what it says."""
    if verdict.state in ("rewritten", "kept"):
        outcome: Outcome = "rewritten" if verdict.state == "rewritten" else "kept"
        walk.note(path, verdict.kind, value, outcome, verdict.reason, new=verdict.new)
        return verdict.new
    walk.note(path, verdict.kind, value, "unresolved", f"{verdict.reason}; data stays", new=value)
    return value


def inputs(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """One field of an input schema: only a document reference's own values are references."""
    if not isinstance(value, dict):
        return value
    is_reference = value.get("type") == "document_reference"
    result: dict[str, Any] = {}
    for name, inner in value.items():
        place = f"{path}.{name}"
        if name in ("default", "examples", "enum"):
            look = constant if is_reference else text
            result[name] = look(walk, row, inner, place)
        elif name == "items":
            result[name] = inputs(walk, row, inner, place)
        elif name == "properties" and isinstance(inner, dict):
            result[name] = {
                sub: inputs(walk, row, schema, f"{place}.{sub}") for sub, schema in inner.items()
            }
        else:
            result[name] = inner
    return result


def stages(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """A stage, a list of them or something that holds one: the stage rows apply in there."""
    before, walk.in_stage = walk.in_stage, True
    result = walk.value(NOWHERE, value, path)
    walk.in_stage = before
    return result


def verbatim(walk: Walk, row: Row, value: Any, path: str) -> Any:
    return value
