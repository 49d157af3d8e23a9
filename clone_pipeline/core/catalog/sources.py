"""Many sources looked up at once, as a long policies file names them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, RowMapping, or_, select

from ..text import storable
from .schema import clones, namespaces, templates

# Variables of one statement, of which SQLite takes some thousand.
_PAGE = 500

_COLUMNS = (
    namespaces.c.organization_id,
    namespaces.c.namespace_id,
    namespaces.c.namespace_name,
    namespaces.c.clone_id,
    clones.c.policy,
    clones.c.purpose,
)


@dataclass(frozen=True)
class Source:
    """A live namespace, or a template; of a clone with the policy that it was made for."""

    organization_id: str
    name: str
    is_clone: bool
    policy: str | None
    purpose: str | None

    @classmethod
    def of(cls, row: RowMapping) -> Source:
        return cls(
            row["organization_id"],
            row["namespace_name"],
            row["clone_id"] is not None,
            row["policy"],
            row["purpose"],
        )


class Sources:
    """What `namespaces.find_source` finds, for each of these ids and names, ready or not."""

    def __init__(self, connection: Connection, identifiers: Collection[str]) -> None:
        self._templates: dict[str, Source] = {}
        self._by_id: dict[str, Source] = {}
        self._by_name: dict[str, list[Source]] = {}
        rest = iter(sorted({one for one in identifiers if storable(one)}))
        while page := list(islice(rest, _PAGE)):
            self._read(connection, page)

    def _read(self, connection: Connection, page: list[str]) -> None:
        its_clone = clones.c.clone_id == namespaces.c.clone_id
        query = select(*_COLUMNS).join(clones, its_clone, isouter=True)
        named = or_(namespaces.c.namespace_id.in_(page), namespaces.c.namespace_name.in_(page))
        live = query.where(namespaces.c.role == "live", named)
        for row in connection.execute(live).mappings():
            self._by_id[row["namespace_id"]] = found = Source.of(row)
            self._by_name.setdefault(row["namespace_name"], []).append(found)
        stored = templates.c.namespace_key == namespaces.c.namespace_key
        query = select(*_COLUMNS, templates.c.template_id).join(clones, its_clone, isouter=True)
        for row in connection.execute(
            query.join(templates, stored).where(templates.c.template_id.in_(page))
        ).mappings():
            self._templates[row["template_id"]] = Source.of(row)

    def find(self, organization_id: str | None, identifier: str) -> Source | None:
        """None too where a name stands in several organizations, and none of them is meant."""
        for found in (self._templates.get(identifier), self._by_id.get(identifier)):
            if found is not None and organization_id in (None, found.organization_id):
                return found
        named = [
            one
            for one in self._by_name.get(identifier, ())
            if organization_id in (None, one.organization_id)
        ]
        return named[0] if len(named) == 1 else None
