"""From a raw resource document to its row and back. One spec per resource table.

A document keeps every field it came with. Its row holds the identity and the name in columns and
the rest as JSON; the two times are *also* columns, parsed, for those who query by time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Table

from . import schema

Document = dict[str, Any]


@dataclass(frozen=True)
class RecordTable:
    """`columns` are the document's fields that stand in columns of the same name, in this order."""

    kind: str
    table: Table
    id_field: str
    name_field: str | None
    columns: tuple[str, ...]


RECORDS: dict[str, RecordTable] = {
    record.kind: record
    for record in (
        RecordTable(
            "bucket", schema.buckets, "bucket_id", "bucket_name", ("bucket_id", "bucket_name")
        ),
        RecordTable("object", schema.objects, "object_id", None, ("object_id", "bucket_id")),
        RecordTable(
            "collection",
            schema.collections,
            "collection_id",
            "collection_name",
            ("collection_id", "collection_name"),
        ),
        RecordTable(
            "retriever",
            schema.retrievers,
            "retriever_id",
            "retriever_name",
            ("retriever_id", "retriever_name"),
        ),
        RecordTable(
            "taxonomy",
            schema.taxonomies,
            "taxonomy_id",
            "taxonomy_name",
            ("taxonomy_id", "version", "taxonomy_name"),
        ),
    )
}

_FRACTION = re.compile(r"\.(\d+)")

NAMESPACE_COLUMNS = ("namespace_id", "namespace_name")


def parse_time(value: object, otherwise: datetime) -> datetime:
    """An ISO 8601 time of a document in UTC; `otherwise` where it is none."""
    if not isinstance(value, str):
        return otherwise
    # Python 3.10 reads neither the Z nor a fraction of other than three or six digits.
    text = _FRACTION.sub(_six_digits, value.replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(text)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return zoned.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # the latter at both ends of the calendar
        return otherwise


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


def assemble(row: Any, columns: tuple[str, ...]) -> Document:
    """The raw document of a row: identity and name first, then the rest as it was written."""
    return {**{column: row[column] for column in columns}, **row["document"]}
