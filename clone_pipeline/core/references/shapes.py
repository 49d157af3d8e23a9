"""What is done at a place, by the shape of its row. One function each."""

from __future__ import annotations

import re
from typing import Any

from .engine import LOOSE, NOWHERE, Node, Walk
from .model import (
    ACTS,
    ACTS_AGAIN,
    AS_DATA,
    IN_TEXT,
    NOTHING,
    OF_ORGANIZATION,
    WAS_SET,
    Outcome,
    Row,
)
from .resolver import (
    COUNTERPART,
    OTHER_NAMESPACE,
    PAYLOAD_FIELD,
    TEMPLATE,
    Verdict,
    is_payload_path,
    secrets_in,
    separated,
    with_secrets,
)

_EMPTY = ("", "null")
# A string in a JSON text that needs no escaping, as no id does.
_QUOTED = re.compile(r'"([^"\\{}\s]+)"')
# A place that is emptied by itself, whatever its row says of ids that are merely unknown.
_ANYWHERE = Row("", "bucket")

# What a user stored or asks for: right as it is, also where it happens to be an id.
DATA = Row("", "user data", "text")


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
        return _elsewhere(walk, value, path)
    verdict = walk.resolver.decide(row.target, value)
    if verdict.state == "unknown" and (parts := separated(value)) is not None:
        return _several(walk, row, value, parts, path)
    return walk.apply(row, path, value, verdict)


def _several(walk: Walk, row: Row, value: str, parts: list[str], path: str) -> Any:
    """Ids with commas between them, which some services take for a list."""
    verdicts = [walk.resolver.decide(row.target, part) for part in parts[::2]]
    if all(verdict.state == "unknown" for verdict in verdicts):
        return walk.apply(row, path, value, walk.resolver.decide(row.target, value))
    parts[::2] = [
        as_data(walk, part, path, verdict)
        for part, verdict in zip(parts[::2], verdicts, strict=True)
    ]
    return "".join(parts)


def key(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """An object key that is an id; an object's keys cannot be required."""
    if _is_elsewhere(walk, row, value):
        return _elsewhere(walk, value, path)
    return walk.apply(row, path, value, walk.resolver.decide(row.target, value))


def _is_elsewhere(walk: Walk, row: Row, value: str) -> bool:
    return "bucket" in row.target.split(" or ") and (walk.in_elsewhere or value in walk.elsewhere)


def _elsewhere(walk: Walk, value: str, path: str) -> Any:
    if not walk.resolver.shares_organization:
        return walk.outside(_ANYWHERE, path, "bucket", value, OTHER_NAMESPACE, value)
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
    if isinstance(value, str) and "{{" in value:
        return _template(walk, row, value, path)
    old = value if isinstance(value, str) else ""
    verdict = walk.resolver.decide_organization(row.target, old)
    if verdict.state == "kept":
        walk.note(path, row.target, old, "kept", verdict.reason, new=old)
        return value
    if verdict.state == "rewritten":
        walk.note(path, row.target, old, "rewritten", verdict.reason, new=verdict.new)
        return verdict.new
    return walk.outside(row, path, row.target, old, verdict.reason, value)


def acts(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """A setting that acts, or that two namespaces must not share: never comes over."""
    if not value or value == row.resets or walk.probe:
        return value
    old = value if isinstance(value, str) and not row.secret else ""
    if old and (new := walk.resolver.counterpart(row.target, old)) is not None:
        walk.note(path, row.target, old, "rewritten", COUNTERPART, new=new)
        return new
    if walk.restoring and not row.secret and not row.placed:
        walk.note(path, row.target, old, "kept", ACTS_AGAIN, new=old)
        return value
    parked = WAS_SET if row.secret else value
    walk.note(path, row.target, old, "cleared", ACTS, new=row.resets, parked=parked, removed=path)
    return False if value is True else row.resets


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
    if isinstance(value, str) and walk.resolver.is_of_another(value):
        return walk.outside(row, path, "namespace", value, OTHER_NAMESPACE, value)
    return spelled(walk, row, value, path)


def spelled(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """The same, where nothing can be taken out."""
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
            spelled(walk, row, name, f"{path}.{name}"): field_names(
                walk, row, inner, f"{path}.{name}"
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            field_names(walk, row, inner, f"{path}[{index}]") for index, inner in enumerate(value)
        ]
    return spelled(walk, row, value, path) if isinstance(value, str) else value


def text(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Free text at any depth: no id in it is rewritten, but what it names is told."""
    if isinstance(value, dict):
        return {name: text(walk, row, inner, f"{path}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [text(walk, row, inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    return mention(walk, value, path, is_data=row is DATA)


def mention(walk: Walk, value: str, path: str, *, is_data: bool = False) -> str:
    """A text, in which only a template's own expressions follow what the clone renames; what else
    it names is told. A text that is nothing but an id is none, unless it is the user's data: it is
    for `Rewriter.unlisted` to tell."""
    value, taxonomies = walk.resolver.template(value)
    for old, new in taxonomies:
        if new is not None and new != old:
            walk.note(path, "taxonomy", old, "rewritten", new=new)
    for kind, old in walk.resolver.mentions(value):
        if old != value or is_data:
            walk.note(path, kind, old, "mentioned", AS_DATA if is_data else IN_TEXT)
    return value


def templates(walk: Walk, value: Any, path: str) -> Any:
    """The organization's secrets that templates ask for, wherever they stand in a document, each by
    the name that it has where the clone is."""
    if isinstance(value, dict):
        return {
            name: templates(walk, inner, f"{path}.{name}" if path else name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [templates(walk, inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    new_names = {}
    for name in secrets_in(value):
        verdict = walk.resolver.decide_organization("organization secret", name)
        outcome: Outcome = "unresolved"
        if verdict.state in ("kept", "rewritten"):
            outcome = "kept" if verdict.state == "kept" else "rewritten"
        walk.note(path, verdict.kind, name, outcome, verdict.reason, new=verdict.new)
        new_names[name] = verdict.new
    return with_secrets(value, new_names) if new_names else value


def constant(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Data that may happen to be an id: rewritten only where the whole of it is one.

    An id that may be a word counts only under a key that says what it is, as in a stage.
    """
    if isinstance(value, dict):
        return {
            _field_in(walk, name, f"{path}.{name}"): constant(
                walk, _row_of(walk, name), inner, f"{path}.{name}"
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [constant(walk, row, inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    verdict = walk.resolver.decide_any(value) or _of_its_key(walk, row, value)
    if verdict is not None:
        return as_data(walk, value, path, verdict)
    if (parts := separated(value)) is not None:
        return "".join(constant(walk, row, part, path) for part in parts)
    if value.lstrip()[:1] in ("{", "["):
        value = _QUOTED.sub(lambda match: _in_json(walk, match[0], match[1], path), value)
    return spelled(walk, LOOSE, value, path)


def _in_json(walk: Walk, whole: str, value: str, path: str) -> str:
    """A string in a JSON text, as which some give the body of a request."""
    verdict = walk.resolver.decide_any(value)
    if verdict is not None:
        return f'"{as_data(walk, value, path, verdict)}"'
    return f'"{spelled(walk, LOOSE, value, path)}"' if "_taxonomy_" in value else whole


def _field_in(walk: Walk, name: str, path: str) -> str:
    """A key of a constant: the payload field that it spells follows the clone's."""
    return spelled(walk, LOOSE, name, path) if "_taxonomy_" in name else name


def _row_of(walk: Walk, key: str) -> Row:
    """What the key says in a stage of the value under it, or of each of its items."""
    node = walk.stage_rows.keys.get(key)
    row = None if node is None else node.row or (node.items and node.items.row)
    return row or LOOSE


def _of_its_key(walk: Walk, row: Row, value: str) -> Verdict | None:
    if row.shape == "namespace":
        verdict = walk.resolver.decide_namespace(value)
        return verdict if value in walk.resolver.map.own_namespaces else None
    is_id = row.shape == "id" and value in walk.resolver.map.ids.get(row.target, {})
    return walk.resolver.decide(row.target, value) if is_id else None


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
            result[name] = look(walk, DATA, inner, place)
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
