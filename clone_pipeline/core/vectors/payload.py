"""Payloads as the messages in which a server sends them, to be looked at and changed in place.

Nothing is turned into values of Python but what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..references import RecordArray, RecordObject
from . import wire
from .values import encode_entries

PAYLOAD = 0x1A  # the tag of a payload's entries in a `PointStruct`


class Struct(RecordObject):
    """An object: over the map of a `Struct`, or of a point."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Any) -> None:
        self._fields = fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def pick(self, keys: frozenset[str]) -> dict[str, Any]:
        fields = self._fields
        found = {}
        for key in keys:
            if key in fields:
                value = fields[key]
                found[key] = value.string_value or _value(value)
        return found

    def get(self, key: str) -> Any:
        fields = self._fields
        if key not in fields:
            return None
        value = fields[key]
        return value.string_value or _value(value)

    def set(self, key: str, value: str) -> None:
        self._fields[key].string_value = value

    def remove(self, key: str) -> None:
        del self._fields[key]

    def rename(self, names: Mapping[str, str]) -> None:
        fields = self._fields
        moved = {}
        for old, new in names.items():
            moved[new] = type(fields[old])()
            moved[new].CopyFrom(fields[old])
            del fields[old]
        for new, value in moved.items():
            fields[new].CopyFrom(value)

    def plain(self) -> dict[str, Any]:
        fields = self._fields
        return {key: _plain(_value(fields[key])) for key in fields}


class Array(RecordArray):
    """A list: over the values of a `ListValue`."""

    __slots__ = ("_values",)

    def __init__(self, values: Any) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        return map(_value, self._values)

    def set(self, index: int, value: str) -> None:
        self._values[index].string_value = value

    def plain(self) -> list[Any]:
        return [_plain(value) for value in self]


class Payload(Struct):
    """The payload of a point: over a `PointStruct` that has nothing else.

    `encoded` is any encoding of it, to look for keys in.
    """

    __slots__ = ("_encoded", "_message")

    def __init__(self, message: Any, encoded: bytes) -> None:
        super().__init__(message.payload)
        self._message = message
        self._encoded = encoded

    @classmethod
    def of(cls, point: bytes) -> Payload:
        """The payload of a `PointStruct`."""
        message = wire.PointStruct.FromString(point)
        message.ClearField("id")
        message.ClearField("vectors")
        return cls(message, point)

    def may_have(self, name: str) -> bool:
        return name.encode() in self._encoded

    def copy(self) -> Payload:
        message = wire.PointStruct()
        message.CopyFrom(self._message)
        return Payload(message, self._encoded)

    def encode(self) -> bytes:
        """As it stands in a `PointStruct`, in its one spelling."""
        if not PROTOBUF_SORTS:
            return encode_entries(PAYLOAD, self.plain())
        encoded: bytes = self._message.SerializeToString(deterministic=True)
        return encoded


def _value(value: Any) -> Any:
    """A `Value` as Python has it; an object or a list as one of the above."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return Struct(value.struct_value.fields)
    if kind == "list_value":
        return Array(value.list_value.values)
    return None if kind is None or kind == "null_value" else getattr(value, kind)


def _plain(value: Any) -> Any:
    return value.plain() if isinstance(value, (Struct, Array)) else value


def value_at(record: Any, key: str) -> Any:
    """What stands at a key of an object; None where it has none, or is none."""
    if isinstance(record, dict):
        return record.get(key)
    return record.get(key) if isinstance(record, Struct) else None


def _protobuf_sorts() -> bool:
    """Whether protobuf has the order of `values`. It promises nobody to, and digests that were
    sealed have to last."""
    keys = ("", "a", "ab", "abc", "ac", "b", "a\0", "\0", "ä", "ä\0", "~", "\uffff", "\U00010000")
    wanted: dict[str, Any] = dict.fromkeys(keys, 1)
    message = wire.PointStruct()
    for key in keys:
        message.payload[key].integer_value = 1
        message.payload["in"].struct_value.fields[key].integer_value = 1
    spelled: bytes = message.SerializeToString(deterministic=True)
    return spelled == encode_entries(PAYLOAD, wanted | {"in": wanted})


PROTOBUF_SORTS = _protobuf_sorts()
