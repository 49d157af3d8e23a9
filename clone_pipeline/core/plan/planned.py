"""A resource as it will stand in the clone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..catalog.documents import RECORDS, Document


@dataclass(frozen=True)
class PlannedResource:
    """A resource as it will stand in the clone; `document` is without identity and name."""

    kind: str
    source_id: str
    version: int
    target_id: str
    name: str
    document: Document
    created_at: datetime
    updated_at: datetime

    def to_row(self, clone_id: str) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"clone_id": clone_id, **values}

    @property
    def raw(self) -> Document:
        """The whole raw document of the clone's resource."""
        if self.kind == "namespace":
            return {"namespace_id": self.target_id, "namespace_name": self.name, **self.document}
        record = RECORDS[self.kind]
        identity: Document = {record.id_field: self.target_id}
        if record.versioned:
            identity["version"] = self.version
        return {**identity, str(record.name_field): self.name, **self.document}
