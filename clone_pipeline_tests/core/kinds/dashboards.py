"""An invented resource type, added as a new one would be, with no file of the product changed.

It has to be known before the rest of the program is imported, so it is a plugin of the pytest that
`test_new_kind.py` starts: those are imported first.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, String, Table, Text, UniqueConstraint

from clone_pipeline.core import kinds
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.kinds.base import LIST, IdForm, ResourceKind
from clone_pipeline.core.references import table
from clone_pipeline.core.references.model import Row, rows_of

# The module in `core/kinds/`, and its line in `KINDS`.
DASHBOARD = ResourceKind(
    name="dashboard",
    plural="dashboards",
    id_form=IdForm("dsh_", 12),
    about="Clone the dashboards.",
    after="taxonomies",
    fields={LIST: ("panels",)},
)
kinds.KINDS = (*kinds.KINDS, DASHBOARD)

# Its table in the catalog.
dashboards = Table(
    "dashboards",
    schema.metadata,
    Column(
        "namespace_key",
        ForeignKey(schema.namespaces.c.namespace_key, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("dashboard_id", String(128), primary_key=True),
    Column("dashboard_name", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("created_at", schema.UtcTime, nullable=False),
    Column("updated_at", schema.UtcTime, nullable=False),
    UniqueConstraint("namespace_key", "dashboard_name"),
)

# Its rows in the table of references, and what refers to it.
table.CONFIGURATION["dashboard"] = rows_of(
    "dashboard",
    Row("dashboard_id", "dashboard", "own id"),
    Row("collection_ids[]", "collection"),
    Row("panels[].retriever_id", "retriever", clears="panels[]"),
    Row("metadata", "user data", "verbatim"),
)
table.CONFIGURATION["retriever"] += rows_of(
    "retriever", Row("display_config.dashboard_id", "dashboard")
)
