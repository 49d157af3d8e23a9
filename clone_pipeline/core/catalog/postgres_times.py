"""PostgreSQL's times. A file of its own: its driver takes long to import, and SQLite needs none."""

from __future__ import annotations

from datetime import datetime, timezone

from psycopg import DataError
from psycopg.types.datetime import TimestamptzLoader


class TimeLoader(TimestamptzLoader):
    """PostgreSQL's calendar is longer than Python's: what lies outside is read as its end."""

    def load(self, data: bytes | bytearray | memoryview) -> datetime:
        try:
            return super().load(data)
        except DataError:
            text = bytes(data)
            early = text.startswith(b"-") or text.endswith(b"BC")
            end = datetime.min if early else datetime.max
            return end.replace(tzinfo=timezone.utc)
