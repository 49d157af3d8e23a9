"""Qdrant's protobuf messages, described so that what travels through us stays bytes.

In protobuf's encoding a submessage is a length and its bytes, the same as a field of type `bytes`.
So a schema of our own reads the server's answers and leaves each point, and the numbers of each
vector, as they came. Field numbers are those of Qdrant's `points.proto` and `json_with_int.proto`
(since v1.17, vectors in answers have the field numbers that vectors in upserts have).
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
_STRING = FieldDescriptorProto.TYPE_STRING
_BOOL = FieldDescriptorProto.TYPE_BOOL
_FLOAT = FieldDescriptorProto.TYPE_FLOAT
_UINT32 = FieldDescriptorProto.TYPE_UINT32
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE


class _Field(NamedTuple):
    number: int
    type: Any  # one of the above, or the name of a message
    repeated: bool = False


_SCHEMA: dict[str, dict[str, _Field]] = {
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
    "ScrollResponse": {
        "next_page_offset": _Field(1, _BYTES),
        "result": _Field(2, _BYTES, repeated=True),
    },
    "UpsertPoints": {
        "collection_name": _Field(1, _STRING),
        "wait": _Field(2, _BOOL),
        "points": _Field(3, _BYTES, repeated=True),
    },
}


def _describe() -> FileDescriptorProto:
    file = FileDescriptorProto(name=f"{_PACKAGE}/wire.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, kind in fields.items():
            _add_field(message, field, kind)
    return file


def _add_field(message: DescriptorProto, name: str, kind: _Field) -> None:
    field = message.field.add(name=name, number=kind.number)
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED
        if kind.repeated
        else FieldDescriptorProto.LABEL_OPTIONAL
    )
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
ScrollResponse = _message("ScrollResponse")
UpsertPoints = _message("UpsertPoints")
