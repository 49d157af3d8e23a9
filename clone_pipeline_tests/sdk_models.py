"""Documents in which every field of the SDK's models is filled, and what the models say of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from inspect import isclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .sdk import mixpeek

# The models that a client reads the resources of a namespace with.
MODELS: dict[str, type[Any]] = {
    "namespace": mixpeek.models.NamespaceModel,
    "bucket": mixpeek.models.BucketResponse,
    "object": mixpeek.models.ObjectResponse,
    "collection": mixpeek.models.CollectionResponse,
    "retriever": mixpeek.models.RetrieverModelOutput,
    "taxonomy": mixpeek.models.TaxonomyResponse,
    "payload": mixpeek.models.DocumentResponse,
}
STAGES: dict[str, type[Any]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name.removeprefix("StageParams")).lower(): model
    for name, model in vars(mixpeek.models).items()
    if name.startswith("StageParams")
}

# What a field is called -> what it refers to.
REFERENCES = {
    "bucket": "bkt_1",
    "collection": "col_1",
    "retriever": "ret_1",
    "taxonomy": "tax_1",
    "namespace": "ns_src",
}
_NAMES = re.compile(
    r"(?:^|_)(bucket|collection|retriever|taxonomy|namespace)(?:_ids?|_identifiers?|s)?$"
)
_PATTERNS = {"ray_cluster_id": "ray_shared1", "template_id": "tmpl_1"}
_ONE_OF = re.compile(r"(?:one|any)of_schema_\d+_validator")
_MODEL = re.compile(r"validation errors? for (\w+)$")
_ENUM = re.compile(r"must be one of (?:enum values )?\((.+)\)", re.DOTALL)
_LITERAL = re.compile(r"'([^']*)'")
_REPAIRS = 200


def complaints(model: type[Any], document: Any) -> str:
    """Why the model does not read it; "" where it does."""
    try:
        model.from_dict(document)
    except (ValidationError, ValueError) as error:
        return str(error)
    return ""


def filled(model: type[Any], turn: int = 0) -> dict[str, Any]:
    """A document of the model with every field; where it may be one of several, `turn` says which.

    What the models only tell by complaining, as which words they take, is learnt from them.
    """
    known: dict[tuple[str, str], str] = {}
    for _ in range(_REPAIRS):
        document = _Filling(turn, known).of_model(model)
        complaint = complaints(model, document)
        if not complaint:
            return document
        assert _learn(complaint, known), complaint
    raise AssertionError(f"{model.__name__} takes nothing that is made for it")


def _learn(complaint: str, known: dict[tuple[str, str], str]) -> bool:
    """The words that the fields of models take, as far as they are told; whether any is new."""
    before = len(known)
    model = place = ""
    for line in complaint.splitlines():
        if named := _MODEL.search(line):
            model = named[1]
        elif not line.startswith(" "):
            place = line.split(".")[0]
        elif (options := _ENUM.search(line)) and (words := _LITERAL.findall(options[1])):
            known.setdefault((model, place), words[0])
    return len(known) > before


@dataclass
class _Filling:
    turn: int
    known: dict[tuple[str, str], str]
    around: list[type[Any]] = field(default_factory=list)

    def of_model(self, model: type[Any]) -> Any:
        options = [
            info.annotation
            for name, info in model.model_fields.items()
            if _ONE_OF.fullmatch(name.lower())
        ]
        self.around.append(model)
        document: Any = {}
        if options:
            document = self.value(options[self.turn % len(options)], "", {})
        for name, info in model.model_fields.items():
            key = info.alias or name
            if not options and name != "additional_properties" and self._has_room(info):
                value = self._known(model, key, info)
                if value is not None:
                    document[key] = value
        self.around.pop()
        return document

    def _known(self, model: type[Any], key: str, info: FieldInfo) -> Any:
        word = self.known.get((model.__name__, key))
        if word is None:
            return self.value(info.annotation, key, _bounds(info.metadata))
        return [word] if "List" in str(info.annotation) else word

    def _has_room(self, info: FieldInfo) -> bool:
        """Whether a model does not hold itself without end."""
        inner = [one for one in _models(info.annotation) if self.around.count(one) > 1]
        return not inner or info.is_required()

    def value(self, kind: Any, key: str, bounds: dict[str, Any]) -> Any:
        origin, options = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.value(options[0], key, bounds | _bounds(options[1:]))
        if origin is list:
            return [self.value(options[0], key, {})] if _room(self, options[0]) else []
        if origin is dict:
            return {_text(key, {}): self.value(options[1], key, {})}
        if origin is Literal:
            return options[0]
        if options:  # a union
            return self.value(next(one for one in options if one is not type(None)), key, bounds)
        if isclass(kind) and issubclass(kind, BaseModel):
            return self.of_model(kind)
        if isclass(kind) and issubclass(kind, Enum):
            return next(iter(kind)).value
        return _scalar(kind, key, bounds)


def _room(filling: _Filling, kind: Any) -> bool:
    return not any(filling.around.count(one) > 1 for one in _models(kind))


def _models(kind: Any) -> list[type[Any]]:
    if isclass(kind) and issubclass(kind, BaseModel):
        return [kind]
    return [model for one in get_args(kind) for model in _models(one)]


def _bounds(metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in metadata:
        if isinstance(one, FieldInfo):
            found |= _bounds(one.metadata)
        for name in ("ge", "gt", "le", "min_length", "max_length"):
            if getattr(one, name, None) is not None:
                found[name] = getattr(one, name)
    return found


def _scalar(kind: Any, key: str, bounds: dict[str, Any]) -> Any:
    if kind is bool:
        return True
    if kind in (int, float):
        number = kind(bounds.get("ge", bounds.get("gt", 0) + 1))
        return min(number, bounds.get("le", number))
    if kind is datetime:
        return "2026-01-02T03:04:05Z"
    return _text(key, bounds)


def _text(key: str, bounds: dict[str, Any]) -> str:
    if key in _PATTERNS:
        return _PATTERNS[key]
    if named := _NAMES.search(key):
        return REFERENCES[named[1]]
    text = f"some {key}".ljust(bounds.get("min_length", 0), "x")
    return text[: bounds.get("max_length", len(text))]
