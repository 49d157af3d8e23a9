"""From a raw resource document to its row and back. One spec per resource table.

A document keeps every field it came with. Its row holds the identity and the name in columns and
the rest as JSON; the two times are *also* columns, parsed, for those who query by time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

from sqlalchemy import Table

from ..depth import MAX_DEPTH, is_too_deep
from ..errors import UnreadableRecord
from ..kinds import BUCKET, KINDS
from . import schema
from .reading import first_unreadable, loads

Document = dict[str, Any]


@dataclass(frozen=True)
class RecordTable:
    """`columns` are the document's fields that stand in columns of the same name, in this order."""

    kind: str
    table: Table
    id_field: str
    name_field: str | None
    columns: tuple[str, ...]

    @property
    def versioned(self) -> bool:
        """Whether several rows are one resource, in its versions."""
        return "version" in self.columns

    def version_of(self, row: Mapping[Any, Any]) -> int:
        """0 where there are none."""
        version: int = row["version"] if self.versioned else 0
        return version


def _records() -> Iterator[RecordTable]:
    """In the order in which their rows can be written."""
    for kind in KINDS:
        table = schema.metadata.tables[kind.plural]
        yield RecordTable(kind.name, table, kind.id_field, kind.name_field, kind.columns)
        if kind is BUCKET:
            yield RecordTable(
                "object", schema.objects, "object_id", None, ("object_id", BUCKET.id_field)
            )


RECORDS: dict[str, RecordTable] = {record.kind: record for record in _records()}

_FRACTION = re.compile(r"\.(\d+)")

NAMESPACE_COLUMNS = ("namespace_id", "namespace_name")


def parse_time(value: object, otherwise: datetime) -> datetime:
    """An ISO 8601 time of a document in UTC; `otherwise` where it is none."""
    return _moment(value) or otherwise


def is_time(value: str) -> bool:
    """Whether it is an ISO 8601 time."""
    return _moment(value) is not None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    # Python 3.10 reads neither the Z nor a fraction of other than three or six digits.
    text = _FRACTION.sub(_six_digits, value.replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    try:
        return zoned.astimezone(timezone.utc)
    except OverflowError:  # in UTC it lies beyond the calendar: its end stands for it
        end = datetime.min if moment.year == 1 else datetime.max
        return end.replace(tzinfo=timezone.utc)


def _six_digits(fraction: re.Match[str]) -> str:
    return f".{fraction[1][:6]:0<6}"


def split(document: Document, columns: tuple[str, ...], now: datetime) -> dict[str, Any]:
    """The row of a raw document: `columns` out of it, the rest as `document`, times parsed."""
    created = parse_time(document.get("created_at"), now)
    return {
        **{column: document[column] for column in columns},
        "document": {key: value for key, value in document.items() if key not in columns},
        "created_at": created,
        "updated_at": parse_time(document.get("updated_at"), created),
    }


def assemble(row: Mapping[Any, Any], record: RecordTable) -> Document:
    """The raw document of a row: identity and name first, then the rest as it was written.

    Raises UnreadableRecord.
    """
    check_readable(record.kind, row[record.id_field], row)
    return {**{column: row[column] for column in record.columns}, **row["document"]}


def read_object(object_id: str, text: str) -> Document:
    """The document of an object's row as JSON text, without identity. Raises UnreadableRecord."""
    document = loads(text)
    check_readable("object", object_id, {"document": document})
    return cast(Document, document)


def check_readable(kind: str, identity: object, row: Mapping[Any, Any]) -> None:
    """Raises UnreadableRecord where a service has written what is no row of a resource."""
    document = row["document"]
    reason = first_unreadable(row)
    if reason is None and not isinstance(document, dict):
        reason = "`document` is not a JSON object"
    if reason is None and is_too_deep(document):
        reason = f"`document` is nested more than {MAX_DEPTH} deep"
    if reason is not None:
        raise UnreadableRecord(kind, str(identity), reason)


def in_collection(document: Document, name: str) -> Document:
    """A namespace's document that names its Qdrant collection."""
    infrastructure = document.get("infrastructure") or {}
    return document | {"infrastructure": {**infrastructure, "qdrant_collection": name}}
