"""Lists as the platform gives them: filters, search, order, pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from clone_pipeline.api.bodies import Body
from clone_pipeline.core.errors import InvalidRequest

Item = Mapping[str, Any]

LARGEST_PAGE, LARGEST_OFFSET, PAGE = 1000, 10_000, 100
# Nobody writes a deeper one by hand.
_DEEPEST = 8


class Sort(Body):
    """Which field to order by, and which way."""

    field: str = Field(max_length=255)
    direction: Literal["asc", "desc"] = "asc"


class ListRequest(Body):
    """What to list."""

    filters: dict[str, Any] | None = Field(
        None,
        description="Conditions `{field, operator, value}` in lists under `AND`, `OR`, `NOT`; a "
        "field's name as a key means that it is equal.",
    )
    sort: Sort | None = None
    sorts: list[Sort] | None = Field(None, max_length=8, description="Instead of one `sort`.")
    search: str | None = Field(None, max_length=255, description="A text in the name, id, ...")
    case_sensitive: bool | None = False
    include_system: bool | None = Field(None, description="System resources are always listed.")
    limit: int | None = Field(None, ge=1, le=LARGEST_PAGE, description="Wins over the query's.")
    page_size: int | None = Field(None, ge=1, le=LARGEST_PAGE)
    offset: int | None = Field(None, ge=0, le=LARGEST_OFFSET)
    page: int | None = Field(None, ge=1, le=LARGEST_OFFSET)


class Pagination(BaseModel):
    """Where in the list this page is. The totals are there with `include_total=true` only."""

    total: int | None = None
    page: int
    page_size: int
    total_pages: int | None = None
    next_page: str | None = None
    previous_page: str | None = None
    next_cursor: str | None = None


@dataclass(frozen=True)
class Window:
    """Which part of a list was asked for."""

    limit: int
    offset: int
    include_total: bool

    def within(self, body: ListRequest | None) -> Window:
        """The window, or what of it the body says otherwise."""
        if body is None:
            return self
        limit = body.limit or body.page_size or self.limit
        if body.offset is not None:
            return Window(limit, body.offset, self.include_total)
        offset = self.offset if body.page is None else (body.page - 1) * limit
        return Window(limit, offset, self.include_total)

    def of(self, count: int) -> Pagination:
        """The window's place in a list of so many."""
        after = self.offset + self.limit
        return Pagination(
            total=count if self.include_total else None,
            page=self.offset // self.limit + 1,
            page_size=self.limit,
            total_pages=-(-count // self.limit) if self.include_total else None,
            next_cursor=_to_cursor(after) if after < count else None,
        )


def _window(
    limit: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE)] = None,
    page_size: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE)] = None,
    offset: Annotated[int | None, Query(ge=0, le=LARGEST_OFFSET)] = None,
    page: Annotated[int | None, Query(ge=1, le=LARGEST_OFFSET)] = None,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    next_cursor: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[str | None, Query(max_length=64)] = None,
    include_total: bool = False,
) -> Window:
    size = limit or page_size or PAGE
    if place := cursor or next_cursor or after:
        start = _from_cursor(place)
    elif offset is not None:
        start = offset
    else:
        start = ((page or 1) - 1) * size
    return Window(size, start, include_total)


Windowed = Annotated[Window, Depends(_window)]


def _to_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"after:{offset}".encode()).decode()


def _from_cursor(cursor: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if word != "after" or len(number) > 12:
            raise ValueError
        return max(0, int(number))
    except ValueError:
        raise InvalidRequest(
            "`cursor` is not one: use the `next_cursor` of the page before."
        ) from None


def select(
    items: Iterable[Item], body: ListRequest | None, searched: tuple[str, ...]
) -> list[Item]:
    """The items that a request means, in its order. Raises InvalidRequest."""
    asked = body or ListRequest()
    sensitive = bool(asked.case_sensitive)
    test = _condition(asked.filters or {}, sensitive, 0)
    found = [item for item in items if test(item)]
    if asked.search:
        wanted = _cased(asked.search, sensitive)
        found = [
            item
            for item in found
            if any(wanted in _cased(str(item.get(name) or ""), sensitive) for name in searched)
        ]
    # The first order is the one that counts most, so it is made last.
    for sort in reversed(asked.sorts or ([asked.sort] if asked.sort else [])):
        found.sort(key=partial(_place, sort.field), reverse=sort.direction == "desc")
    return found


# ---- filters ---------------------------------------------------------------------------------

Test = Callable[[Item], bool]


def _condition(filters: Any, sensitive: bool, depth: int) -> Test:
    if not isinstance(filters, dict) or depth > _DEEPEST:
        raise InvalidRequest(
            f"`filters` is not usable: each condition is an object, at most {_DEEPEST} deep."
        )
    if "field" in filters:
        return _comparison(filters, sensitive)
    tests = []
    for key, value in filters.items():
        if key == "case_sensitive":
            continue
        if key in ("AND", "OR", "NOT"):
            tests.append(_logical(key, value, sensitive, depth))
        else:
            tests.append(_comparison({"field": key, "value": value}, sensitive))
    return lambda item: all(test(item) for test in tests)


def _logical(key: str, value: Any, sensitive: bool, depth: int) -> Test:
    if value is None:
        return lambda _: True
    if not isinstance(value, list):
        raise InvalidRequest(f"`filters` is not usable: `{key}` takes a list of conditions.")
    tests = [_condition(one, sensitive, depth + 1) for one in value]
    if key == "AND":
        return lambda item: all(test(item) for test in tests)
    if key == "OR":
        return lambda item: any(test(item) for test in tests)
    return lambda item: not any(test(item) for test in tests)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, value: found == value,
    "ne": lambda found, value: found != value,
    "gt": lambda found, value: _comparable(found, value) and found > value,
    "gte": lambda found, value: _comparable(found, value) and found >= value,
    "lt": lambda found, value: _comparable(found, value) and found < value,
    "lte": lambda found, value: _comparable(found, value) and found <= value,
    "in": lambda found, value: isinstance(value, list) and found in value,
    "nin": lambda found, value: isinstance(value, list) and found not in value,
    "contains": lambda found, value: isinstance(found, str | list) and _within(value, found),
    "starts_with": lambda found, value: _texts(found, value) and found.startswith(value),
    "ends_with": lambda found, value: _texts(found, value) and found.endswith(value),
    "exists": lambda found, value: (found is not None) == bool(value),
}


def _comparison(condition: Item, sensitive: bool) -> Test:
    field, operator = condition["field"], condition.get("operator", "eq")
    if not isinstance(field, str) or not isinstance(operator, str) or operator not in _OPERATORS:
        raise InvalidRequest(
            "`filters` is not usable: a condition is {field, operator, value} with one of the "
            f"operators {', '.join(_OPERATORS)}."
        )
    value, compare = _cased(condition.get("value"), sensitive), _OPERATORS[operator]
    return lambda item: compare(_cased(_value(item, field), sensitive), value)


def _value(item: Item, path: str) -> Any:
    found: Any = item
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _cased(value: Any, sensitive: bool) -> Any:
    if isinstance(value, list):
        return [_cased(one, sensitive) for one in value]
    return value.casefold() if isinstance(value, str) and not sensitive else value


def _texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _within(value: Any, found: Any) -> bool:
    return value in found if isinstance(found, list) or isinstance(value, str) else False


def _comparable(one: Any, other: Any) -> bool:
    return _texts(one, other) or all(isinstance(value, int | float) for value in (one, other))


def _place(field: str, item: Item) -> tuple[int, Any]:
    """A place for every value there is: numbers, texts, the rest."""
    value = _value(item, field)
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, 0)
