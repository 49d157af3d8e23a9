"""Qdrant's protobuf messages, described so that what nobody looks at stays bytes.

In protobuf's encoding a submessage is a length and its bytes, the same as a field of type `bytes`.
So a schema of our own reads the server's answers and leaves each point, the vectors of a point and
the numbers of each vector as they came. Payloads are messages all the way down. Field numbers are
those of Qdrant's `points.proto` and `json_with_int.proto` (since v1.17, vectors in answers have the
field numbers that vectors in upserts have).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_PACKAGE = "clone_pipeline"
_BYTES = FieldDescriptorProto.TYPE_BYTES
_DOUBLE = FieldDescriptorProto.TYPE_DOUBLE
_INT32 = FieldDescriptorProto.TYPE_INT32
_INT64 = FieldDescriptorProto.TYPE_INT64
_STRING = FieldDescriptorProto.TYPE_STRING
_BOOL = FieldDescriptorProto.TYPE_BOOL
_FLOAT = FieldDescriptorProto.TYPE_FLOAT
_UINT32 = FieldDescriptorProto.TYPE_UINT32
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE


class _Field(NamedTuple):
    number: int
    type: Any  # one of the above, or the name of a message
    repeated: bool = False
    oneof: bool = False  # one of a message's fields that exclude each other
    map: bool = False  # from text to `type`


_SCHEMA: dict[str, dict[str, _Field]] = {
    "Value": {
        "null_value": _Field(1, _INT32, oneof=True),
        "double_value": _Field(2, _DOUBLE, oneof=True),
        "integer_value": _Field(3, _INT64, oneof=True),
        "string_value": _Field(4, _STRING, oneof=True),
        "bool_value": _Field(5, _BOOL, oneof=True),
        "struct_value": _Field(6, "Struct", oneof=True),
        "list_value": _Field(7, "ListValue", oneof=True),
    },
    "Struct": {"fields": _Field(1, "Value", map=True)},
    "ListValue": {"values": _Field(1, "Value", repeated=True)},
    "NamedVectors": {"vectors": _Field(1, _BYTES, map=True)},
    "PointStruct": {
        "id": _Field(1, _BYTES),
        "payload": _Field(3, "Value", map=True),
        "vectors": _Field(4, _BYTES),
    },
    "Dense": {"data": _Field(1, _BYTES)},
    "Sparse": {
        "values": _Field(1, _FLOAT, repeated=True),
        "indices": _Field(2, _UINT32, repeated=True),
    },
    "Multi": {"vectors": _Field(1, "Dense", repeated=True)},
    "Vector": {
        "dense": _Field(101, "Dense"),
        "sparse": _Field(102, "Sparse"),
        "multi": _Field(103, "Multi"),
    },
    "UpsertPoints": {"point": _Field(3, "PointStruct")},  # with one point
}


def _describe() -> FileDescriptorProto:
    file = FileDescriptorProto(name=f"{_PACKAGE}/wire.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, kind in fields.items():
            if kind.map:
                kind = _add_entries(message, field, kind)
            _add_field(message, field, kind)
    return file


def _add_entries(message: DescriptorProto, name: str, kind: _Field) -> _Field:
    """A map is a list of entries, of a type of their own."""
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    _add_field(entry, "key", _Field(1, _STRING))
    _add_field(entry, "value", _Field(2, kind.type))
    return _Field(kind.number, f"{message.name}.{entry.name}", repeated=True)


def _add_field(message: DescriptorProto, name: str, kind: _Field) -> None:
    field = message.field.add(name=name, number=kind.number)
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED
        if kind.repeated
        else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if kind.oneof:
        if not message.oneof_decl:
            message.oneof_decl.add(name="kind")
        field.oneof_index = 0
    if isinstance(kind.type, str):
        field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{kind.type}"
    else:
        field.type = kind.type
        field.options.packed = kind.repeated and kind.type in (_FLOAT, _UINT32)


_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(_describe().SerializeToString())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Dense = _message("Dense")
Sparse = _message("Sparse")
Multi = _message("Multi")
Vector = _message("Vector")
Value = _message("Value")
NamedVectors = _message("NamedVectors")
PointStruct = _message("PointStruct")
UpsertPoints = _message("UpsertPoints")
