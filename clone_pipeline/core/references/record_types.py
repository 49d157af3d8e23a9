"""What a record is made of: JSON objects and lists, as Python has them or where they stand encoded.

A dictionary or list is copied before it is changed; a RecordObject or RecordArray is changed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any


# Abstract, but no ABCs: whether something is one of these is asked for every value of every record,
# and of an ABC the answer takes ten times as long.
class RecordObject:
    """A JSON object that is not a dictionary, and is rewritten where it stands.

    Objects and lists in it are RecordObjects and RecordArrays.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def __iter__(self) -> Iterator[str]: ...

    @abstractmethod
    def pick(self, keys: frozenset[str]) -> dict[str, Any]:
        """What stands at these keys, as far as they are there."""

    @abstractmethod
    def set(self, key: str, value: str) -> None: ...

    def may_have(self, name: str) -> bool:
        """False only if no object in it has a key of that name."""
        return True

    @abstractmethod
    def remove(self, key: str) -> None: ...

    @abstractmethod
    def rename(self, names: Mapping[str, str]) -> None:
        """Gives keys other names, all at once."""


class RecordArray:
    """A list in a RecordObject."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def __iter__(self) -> Iterator[Any]: ...

    @abstractmethod
    def set(self, index: int, value: str) -> None: ...


Json = Any  # dict[str, Any] or RecordObject, and list[Any] or RecordArray
OBJECTS = (dict, RecordObject)
ARRAYS = (list, RecordArray)


def pick_at(record: Json, keys: frozenset[str]) -> dict[str, Any]:
    """A dictionary that has what stands at these keys, and maybe more."""
    return record if isinstance(record, dict) else record.pick(keys)


def with_value(old: Json, new: Json, key: str | int, value: Any) -> Json:
    """`new` with the value, a copy first where it is still the old object or list."""
    if isinstance(old, (RecordObject, RecordArray)):
        old.set(key, value)  # type: ignore[arg-type]
        return old
    if new is old:
        new = old.copy()
    new[key] = value
    return new


def without(old: Json, new: Json, key: str) -> Json:
    """`new` without the key, a copy first where it is still the old object."""
    if isinstance(old, RecordObject):
        old.remove(key)
        return old
    return {name: value for name, value in new.items() if name != key}


def renamed(record: Json, names: Mapping[str, str]) -> Json:
    if isinstance(record, RecordObject):
        record.rename(names)
        return record
    return {names.get(key, key): value for key, value in record.items()}
