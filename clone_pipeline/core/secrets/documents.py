"""The one table of what counts as a secret in a configuration document, and what follows from it.

Everything that shows or moves a document asks here: API answers, plans, metadata, the dump's
warning, error texts, and clones that go to another organization. A value counts as a secret

- by its key, in any spelling and at any depth (`names.py`). A key that only speaks of a secret does
  not count: `secret_ref`, `max_tokens`, `unique_key`;
- by its key and the one around it, or by what is said of it beside it: `openai: {key: ...}`,
  `{"name": "api_key", "value": ...}`, `["--api-key", ...]`;
- by what it stands in: everything literal in `headers`, `env`, `cookies`, `credentials`, in the
  `params` of a request (beside its `url`), and below any other key that names a secret. Nobody can
  know which of that is harmless, so nothing is taken for it, but for media types among headers;
- by its shape (`shapes.py`): the login in a URL, `?api_key=...`, `"token": "..."` in a text,
  `Bearer ...`, and the tokens whose form is known. Only that part of a text is the secret.

A template (`{{SECRET.name}}`) is none. All other free-form maps, as the `params` of an extractor,
go by key and shape.
Objects and points are the user's data, and are not looked at.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from .names import (
    is_authorization,
    is_map_of_secrets,
    name_a_secret_together,
    names_a_secret,
    speaks_of_a_secret,
    words_of,
)
from .shapes import is_literal, is_media_type, mask

# Whether a literal is a secret: by its own key; always; among settings of how somebody logs in;
# where it is the value of something that is named beside it; as a sample in a secret's schema.
_Inside = Literal["open", "sealed", "authorization", "named", "samples"]

# A schema may have a field that is called like a secret; only its samples may be real ones.
_SCHEMA_TYPES = frozenset(
    {"string", "number", "integer", "float", "boolean", "object", "array", "date", "datetime"}
    | {"text", "image", "audio", "video", "pdf", "excel", "document_reference"}
)
_SAMPLES = frozenset({"default", "example", "examples", "enum", "const"})
_SCHEMA_KEYS = _SAMPLES | {"type", "description", "title", "items", "properties", "required"}
_SCHEMA_KEYS |= {"format", "pattern", "nullable", "additionalProperties", "minLength", "maxLength"}
# Beside something that says which secret it is: `{"name": "api_key", "value": "..."}`.
_TITLES = frozenset(
    {"name", "key", "header", "param", "parameter", "variable", "input_key", "field_name"}
    | {"header_name"}
)
_NAMES = _TITLES | {"id", "label", "field"}
_HOLDS_VALUE = frozenset({"source", "field_schema"})
_VALUES = frozenset({"value", "values", "override", "literal", "default", "header_value", "val"})
# A value that is said to be one, by its type or by a flag.
_TYPES = frozenset({"secret", "password", "credential", "api_key", "secret_text"})
_FLAGS = ("secret", "is_secret", "sensitive", "is_sensitive")
# What is sent along with a request: `?key=...` is how many services are asked.
_SENT_ALONG = frozenset(
    {("params",), ("query",), ("query", "params"), ("query", "parameters"), ("query", "string")}
    | {("form",), ("form", "data"), ("url", "params"), ("qs",), ("search", "params")}
)
_ADDRESSES = frozenset(
    {("url",), ("uri",), ("endpoint",), ("base", "url"), ("api", "url"), ("endpoint", "url")}
    | {("request", "url"), ("service", "url"), ("target", "url")}
)
# What holds a secret where somebody logs in, though its key says little.
_PLAIN = frozenset({"key", "value", "data", "user", "username", "code", "pin", "params"})
# The private members of a JSON Web Key.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
_HARMLESS_HEADERS = re.compile(r"accept|content-type", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"[a-z_]{1,40}")

_GONE = object()


def without(document: Any) -> Any:
    """A document, or a part of one, as it may be shown: secrets left out, and masked in text."""
    return _Pass(shows=True).value("", document, "", "open")


def shown_config(config: dict[str, Any]) -> dict[str, Any]:
    """A Qdrant collection's configuration as it may be shown. Only its `metadata` is free-form: an
    index on a field called `token` is none."""
    metadata = config.get("metadata")
    return {**config, "metadata": without(metadata)} if metadata else config


def clear(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A document as another organization may have it, and where the secrets stood: a field is null
    then; what stood in a map, or in a list, is gone."""
    cleared = _Pass(shows=False)
    return cleared.value("", document, "", "open"), cleared.found


def places(document: Any) -> list[str]:
    """Where in a document there are secrets."""
    looking = _Pass(shows=True)
    looking.value("", document, "", "open")
    return looking.found


class _Pass:
    """One pass over one document. The document stays as it is."""

    def __init__(self, *, shows: bool) -> None:
        self._shows = shows
        self.found: list[str] = []

    def value(self, key: str, value: Any, path: str, inside: _Inside) -> Any:
        """What is left of a value; `_GONE` where that is nothing."""
        if isinstance(value, dict):
            return self._object(key, value, path, inside)
        if isinstance(value, list):
            return self._list(key, value, path, inside)
        secret = inside == "sealed" or names_a_secret(key)
        if secret and is_literal(value) and not _is_harmless(key, value):
            self.found.append(path)
            return _GONE
        masked = mask(value) if isinstance(value, str) else value
        if masked != value:
            self.found.append(path)
        return masked

    def _object(self, key: str, value: dict[str, Any], path: str, inside: _Inside) -> Any:
        within = inside
        if inside in ("open", "authorization"):
            found = _within(key, value)
            within = inside if found == "open" else found
        result: dict[str, Any] = {}
        for name, inner in value.items():
            place = f"{path}.{name}" if path else name
            left = self.value(name, inner, place, _of_member(key, name, value, within))
            shown = mask(name)
            if shown != name:
                self.found.append(f"{path}.{shown}" if path else shown)
            if left is not _GONE:
                result[shown] = left
            elif not self._shows and (within != "sealed" or name in _VALUES):
                result[shown] = None
        return result

    def _list(self, key: str, value: list[Any], path: str, inside: _Inside) -> list[Any]:
        if inside != "sealed" and is_map_of_secrets(key):
            inside = "sealed"
        items = [
            self.value(key, inner, f"{path}[{index}]", _of_item(value, index, inside))
            for index, inner in enumerate(value)
        ]
        return [item for item in items if item is not _GONE]


def _within(key: str, value: dict[str, Any]) -> _Inside:
    """What an object is, by the key that it stands under."""
    secret = is_map_of_secrets(key) or names_a_secret(key)
    if _is_schema(value):
        return "samples" if secret else "open"
    if is_authorization(key):
        return "authorization"
    return "sealed" if secret else "open"


def _of_item(value: list[Any], index: int, inside: _Inside) -> _Inside:
    """What follows an option of a command line is its value: `["--api-key", "..."]`."""
    option = value[index - 1] if index else None
    named = isinstance(option, str) and option.startswith("-") and names_a_secret(option)
    return "sealed" if named and "=" not in str(option) else inside


def _of_member(key: str, name: str, value: dict[str, Any], within: _Inside) -> _Inside:
    if within == "sealed":
        # Of a list of headers, the names may be shown: `{"name": "Accept", "value": "..."}`.
        named = name in _TITLES and not _VALUES.isdisjoint(value)
        plain = name == "type" and _PLAIN_WORD.fullmatch(str(value[name])) is not None
        return "open" if named or plain or speaks_of_a_secret(name) else "sealed"
    if within == "samples":
        return "sealed" if name in _SAMPLES else "samples"
    if within == "authorization" and name in _PLAIN:
        return "sealed"
    if (name in _PRIVATE and "kty" in value) or _is_sent_along(name, value):
        return "sealed"
    if within == "named":
        return "sealed" if name in _VALUES else "open"
    if name in _VALUES | _HOLDS_VALUE and _names_one_beside(value):
        return "sealed" if name in _VALUES else "named"
    if name_a_secret_together(key, name):
        return "sealed"
    return "authorization" if within == "authorization" else "open"


def _is_sent_along(name: str, value: dict[str, Any]) -> bool:
    if words_of(name) not in _SENT_ALONG:
        return False
    return any(words_of(beside) in _ADDRESSES for beside in value)


def _names_one_beside(value: dict[str, Any]) -> bool:
    if "operator" in value:  # a condition on a field, which is somebody's data
        return False
    if str(value.get("type")).lower() in _TYPES or any(value.get(flag) is True for flag in _FLAGS):
        return True
    beside = (inner for name, inner in value.items() if "_".join(words_of(name)) in _NAMES)
    return any(isinstance(name, str) and names_a_secret(name) for name in beside)


def _is_schema(value: dict[str, Any]) -> bool:
    types = value.get("type")
    types = types if isinstance(types, list) else [types]
    known = all(isinstance(one, str) and one in _SCHEMA_TYPES | {"null"} for one in types)
    return bool(types) and known and value.keys() <= _SCHEMA_KEYS


def _is_harmless(key: str, value: Any) -> bool:
    return _HARMLESS_HEADERS.fullmatch(key) is not None and is_media_type(value)
