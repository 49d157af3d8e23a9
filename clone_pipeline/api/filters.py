"""Filters of lists: conditions made ready once, and asked of every item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clone_pipeline.core.errors import InvalidRequest

Item = Mapping[str, Any]
Test = Callable[[Item], bool]

# Nobody writes a deeper or longer one by hand, and every condition is asked of every item.
_DEEPEST, _MOST_CONDITIONS, _LONGEST_LIST, _MOST_VALUES = 8, 100, 1000, 10_000
_LOGIC = ("AND", "OR", "NOT")
_UNUSABLE = "`filters` is not usable:"


def make_test(filters: dict[str, Any] | None, sensitive: bool) -> Test:
    """What tells whether an item is meant. Raises InvalidRequest."""
    _check_size(filters or {})
    asked = _condition(filters or {}, sensitive, 0)
    return lambda item: asked(_Row(item, sensitive))


def value_at(item: Item, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = item
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def cased(value: Any, sensitive: bool) -> Any:
    """The value as it is compared: texts without their case, unless that counts."""
    if isinstance(value, list):
        return [cased(one, sensitive) for one in value]
    return value.casefold() if isinstance(value, str) and not sensitive else value


class _Row:
    """An item that many conditions are asked of: each field is found and folded once."""

    def __init__(self, item: Item, sensitive: bool) -> None:
        self._item = item
        self._sensitive = sensitive
        self._found: dict[str, Any] = {}

    def __getitem__(self, path: str) -> Any:
        if path not in self._found:
            self._found[path] = cased(value_at(self._item, path), self._sensitive)
        return self._found[path]


_RowTest = Callable[[_Row], bool]


def _check_size(filters: Any) -> None:
    """Before anything is made of it, and no further than to the bound. Raises InvalidRequest."""
    left, conditions, values = [filters], 0, 0
    while left:
        value = left.pop()
        if isinstance(value, list):
            values += sum(not isinstance(one, dict) for one in value)  # no conditions
            if len(value) > _LONGEST_LIST:
                raise InvalidRequest(f"{_UNUSABLE} a list has at most {_LONGEST_LIST} values.")
            if values > _MOST_VALUES:
                raise InvalidRequest(
                    f"{_UNUSABLE} its lists have more than {_MOST_VALUES:,} values together."
                )
            left += value
        elif isinstance(value, dict):
            conditions += 1 if "field" in value else sum(key not in _LOGIC for key in value)
            left += value.values()
    if conditions > _MOST_CONDITIONS:
        raise InvalidRequest(
            f"{_UNUSABLE} it has {conditions} conditions, at most {_MOST_CONDITIONS} are allowed."
        )


def _condition(filters: Any, sensitive: bool, depth: int) -> _RowTest:
    if not isinstance(filters, dict) or depth > _DEEPEST:
        raise InvalidRequest(f"{_UNUSABLE} each condition is an object, at most {_DEEPEST} deep.")
    if "field" in filters:
        return _comparison(filters, sensitive)
    tests = []
    for key, value in filters.items():
        if key == "case_sensitive":
            continue
        if key in _LOGIC:
            tests.append(_logical(key, value, sensitive, depth))
        else:
            tests.append(_comparison({"field": key, "value": value}, sensitive))
    return lambda row: all(test(row) for test in tests)


def _logical(key: str, value: Any, sensitive: bool, depth: int) -> _RowTest:
    if value is None:
        return lambda _: True
    if not isinstance(value, list):
        raise InvalidRequest(f"{_UNUSABLE} `{key}` takes a list of conditions.")
    tests = [_condition(one, sensitive, depth + 1) for one in value]
    if key == "AND":
        return lambda row: all(test(row) for test in tests)
    if key == "OR":
        return lambda row: any(test(row) for test in tests)
    return lambda row: not any(test(row) for test in tests)


class _Values:
    """A list to look in, once for each item: numbers and texts are found at once."""

    def __init__(self, values: list[Any]) -> None:
        self._plain = {one for one in values if not isinstance(one, list | dict)}
        self._nested = [one for one in values if isinstance(one, list | dict)]

    def __contains__(self, found: Any) -> bool:
        return found in (self._nested if isinstance(found, list | dict) else self._plain)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, value: found == value,
    "ne": lambda found, value: found != value,
    "gt": lambda found, value: _comparable(found, value) and found > value,
    "gte": lambda found, value: _comparable(found, value) and found >= value,
    "lt": lambda found, value: _comparable(found, value) and found < value,
    "lte": lambda found, value: _comparable(found, value) and found <= value,
    "in": lambda found, values: isinstance(values, _Values) and found in values,
    "nin": lambda found, values: isinstance(values, _Values) and found not in values,
    "contains": lambda found, value: isinstance(found, str | list) and _within(value, found),
    "starts_with": lambda found, value: _texts(found, value) and found.startswith(value),
    "ends_with": lambda found, value: _texts(found, value) and found.endswith(value),
    "exists": lambda found, value: (found is not None) == bool(value),
}


def _comparison(condition: Item, sensitive: bool) -> _RowTest:
    field, operator = condition["field"], condition.get("operator", "eq")
    if not isinstance(field, str) or not isinstance(operator, str) or operator not in _OPERATORS:
        raise InvalidRequest(
            f"{_UNUSABLE} a condition is {{field, operator, value}} with one of the "
            f"operators {', '.join(_OPERATORS)}."
        )
    value, compare = cased(condition.get("value"), sensitive), _OPERATORS[operator]
    if operator in ("in", "nin") and isinstance(value, list):
        value = _Values(value)
    return lambda row: compare(row[field], value)


def _texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _within(value: Any, found: Any) -> bool:
    return value in found if isinstance(found, list) or isinstance(value, str) else False


def _comparable(one: Any, other: Any) -> bool:
    return _texts(one, other) or all(isinstance(value, int | float) for value in (one, other))
