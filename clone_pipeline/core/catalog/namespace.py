"""One generation of a namespace, as its row says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import RowMapping

from ..errors import UnreadableRecord
from .documents import Document, check_readable
from .reading import Unreadable

# Fields of a namespace document that tell its clone state, or count its records and what it has
# spent. They belong to one namespace at one time: a clone does not inherit them.
CLONE_STATE = (
    "clone_status",
    "clone_phase",
    "clone_error",
    "clone_task_id",
    "clone_dispatched_at",
    "source_namespace_id",
    "namespace_ready",
    "expires_at",
    "document_count_complete",
)
COUNTS = ("document_count", "bucket_count", "collection_count", "object_count", "budget")
# Where a list says why it shows little of a resource. No field of the platform's.
UNREADABLE = "clone_pipeline_unreadable"
# In the document of an adopted namespace, and so in those of its clones: nothing in the payloads is
# a reference of the platform's. No field of the platform's either.
FOREIGN_PAYLOADS = "clone_pipeline_foreign_payloads"

# Stands for a time that cannot be read, beside what says so.
_NO_TIME = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Namespace:
    """One generation of a namespace, as its row says. `document` is without identity and name.

    A row that another service has spoilt is a Namespace too, so that a list is still one: what is
    asked of its document raises UnreadableRecord.
    """

    key: int
    organization_id: str
    namespace_id: str
    name: str
    role: str
    generation: int
    stored: Mapping[str, Any]
    qdrant_url: str | None
    clone_status: str | None
    clone_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    held_at: datetime | None
    turn: int | None
    loaded_at: datetime | None
    adopted_at: datetime | None
    qdrant_alias: str | None

    @classmethod
    def of(cls, row: RowMapping) -> Namespace:
        names = {"namespace_key": "key", "namespace_name": "name"}
        values = {names.get(key, key): value for key, value in row.items()}
        stored = {key: values.pop(key) for key in ("document", "qdrant_config")}
        for key in ("created_at", "updated_at", "expires_at", "held_at"):
            if isinstance(values[key], Unreadable):
                stored[key], values[key] = values[key], _NO_TIME
        return cls(**values, stored=stored)

    @property
    def unreadable(self) -> UnreadableRecord | None:
        """What is wrong with the row, where something is."""
        try:
            check_readable("namespace", self.namespace_id, self.stored)
        except UnreadableRecord as error:
            return error
        places = {
            "infrastructure": self.stored["document"].get("infrastructure"),
            "qdrant_config": self.stored["qdrant_config"],
        }
        for place, value in places.items():
            if not isinstance(value, dict | None):
                reason = f"`{place}` is not a JSON object"
                return UnreadableRecord("namespace", self.namespace_id, reason)
        return None

    @property
    def shown(self) -> Namespace:
        """Itself, or, where it cannot be read, what a list shows of it."""
        error = self.unreadable
        if error is None:
            return self
        document = {UNREADABLE: error.details["reason"], "namespace_ready": False}
        return replace(self, stored={"document": document, "qdrant_config": None})

    def _stored(self, column: str) -> Any:
        if (error := self.unreadable) is not None:
            raise error
        return self.stored[column]

    @property
    def document(self) -> Document:
        document: Document = self._stored("document")
        return document

    @property
    def qdrant_config(self) -> dict[str, Any] | None:
        config: dict[str, Any] | None = self._stored("qdrant_config")
        return config

    @property
    def raw(self) -> Document:
        """The whole raw document, identity included."""
        return {
            "namespace_id": self.namespace_id,
            "namespace_name": self.name,
            **self.document,
        }

    @property
    def qdrant_collection(self) -> str:
        infrastructure = self.document.get("infrastructure") or {}
        return str(infrastructure.get("qdrant_collection") or self.namespace_id)

    @property
    def qdrant_api_key(self) -> str | None:
        return (self.document.get("infrastructure") or {}).get("qdrant_api_key")

    @property
    def has_foreign_payloads(self) -> bool:
        """Whether its points are of an adopted collection, whose payloads nobody rewrites."""
        return self.document.get(FOREIGN_PAYLOADS) is True

    @property
    def is_ready(self) -> bool:
        return self.clone_status in (None, "ready")

    @property
    def is_ours(self) -> bool:
        """Whether clone-pipeline made it: out of another one, or out of a bundle."""
        return self.clone_id is not None or self.loaded_at is not None


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
