"""Lists as the platform gives them: filters, search, order, pages."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from clone_pipeline.api.bodies import Body
from clone_pipeline.api.filters import Item, cased, make_test, value_at
from clone_pipeline.core.errors import InvalidRequest

LARGEST_PAGE, LARGEST_OFFSET, PAGE = 1000, 10_000, 100


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


class Selection:
    """What a request means, made ready before anything is read: raises InvalidRequest."""

    def __init__(self, body: ListRequest | None, searched: tuple[str, ...]) -> None:
        asked = body or ListRequest()
        self._sensitive = bool(asked.case_sensitive)
        self._test = make_test(asked.filters, self._sensitive)
        self._wanted = cased(asked.search or "", self._sensitive)
        self._searched = searched
        self._sorts = asked.sorts or ([asked.sort] if asked.sort else [])

    def of(self, items: Iterable[Item]) -> list[Item]:
        """The items that are meant, in the order that is asked for."""
        found = [item for item in items if self._test(item) and self._is_found(item)]
        # The first order is the one that counts most, so it is made last.
        for sort in reversed(self._sorts):
            found.sort(key=partial(_place, sort.field), reverse=sort.direction == "desc")
        return found

    def _is_found(self, item: Item) -> bool:
        if not self._wanted:
            return True
        texts = (str(item.get(name) or "") for name in self._searched)
        return any(self._wanted in cased(text, self._sensitive) for text in texts)


def _place(field: str, item: Item) -> tuple[int, Any]:
    """A place for every value there is: numbers, texts, the rest."""
    value = value_at(item, field)
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, 0)
