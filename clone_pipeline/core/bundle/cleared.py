"""cleared.json: what had been cleared in a backup when it was made, for whoever restores it where
the ledger is gone."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from ..catalog.documents import Document
from ..catalog.namespace import Namespace
from ..errors import BundleError
from ..ledger import clones as ledger
from ..plan.restore import Reinstated, read_parked, restored_from
from .files import CLEARED, Files


class _Entry(BaseModel):
    """One value, as the ledger has it (`clones.parked`)."""

    model_config = ConfigDict(extra="allow", strict=True)

    resource: str
    resource_id: str
    version: int | None = 0
    path: str
    target: str
    removed: str = Field(min_length=1)
    parked: Any
    old: str
    new: str | None
    reason: str


class Cleared(BaseModel):
    """`namespace_id` and `namespace_name` are of what was backed up, in the backup's organization;
    `before` is what had been cleared already when that was made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    namespace_id: str = Field(min_length=1)
    namespace_name: str = Field(min_length=1)
    parked: list[_Entry]
    before: list[_Entry]

    def reinstated(self) -> Reinstated:
        """Nothing of it put back yet."""
        parked, before = (
            [entry.model_dump() for entry in entries] for entries in (self.parked, self.before)
        )
        return Reinstated(parked, before)


def cleared_in(connection: Connection, namespace: Namespace) -> Document | None:
    """The file's content; None for what is no backup, and for one of another organization's
    namespace, which is not restored here."""
    if namespace.clone_id is None:
        return None
    made = ledger.get(connection, namespace.clone_id)
    source = made.plan["source"]["organization_id"]
    if not made.request["preserve_resource_ids"] or source != namespace.organization_id:
        return None
    namespace_id, name, _ = restored_from(connection, namespace)
    found = read_parked(connection, namespace)
    return {
        "namespace_id": namespace_id,
        "namespace_name": name,
        "parked": found.parked,
        "before": found.before,
    }


def read_cleared(files: Files) -> Cleared | None:
    """Raises BundleError."""
    document = files.document(CLEARED)
    if document is None:
        return None
    try:
        return Cleared.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"is not usable: {where}: {first['msg']}", CLEARED) from None
