"""What the HTTP API keeps."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from .columns import TIME, metadata
from .platform import namespace_key, organizations

# A template's configuration is a row of `namespaces` with the role `template`, and what hangs on
# it: buckets, collections, retrievers and taxonomies, without objects and points.
templates = Table(
    "templates",
    metadata,
    Column("template_id", String(128), primary_key=True),
    Column("organization_id", ForeignKey(organizations.c.organization_id), nullable=False),
    namespace_key(primary_key=False),
    Column("template_name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("category", Text),
    Column("tags", JSON, nullable=False),
    Column("source_namespace_id", String(128), nullable=False),
    Column("created_by", String(32)),  # the key's id
    Column("created_at", TIME, nullable=False),
    Index(None, "organization_id"),
)

# The answers to requests that had an Idempotency-Key. No answer: the request is being answered.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("answer", JSON),
    Column("created_at", TIME, nullable=False),
    Index(None, "created_at"),
)

# How many requests a key, or an address without one, has made in a minute: counted here where
# several processes answer.
api_requests = Table(
    "api_requests",
    metadata,
    Column("whose", String(160), primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # since 1970
    Column("requests", Integer, nullable=False),
)
