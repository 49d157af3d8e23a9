"""The page as HTML: no script, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from clone_pipeline.core.archives.history import ArchiveHistory
from clone_pipeline.core.ledger.history import History
from clone_pipeline.html_report import archives, clones


def render(history: History | ArchiveHistory, now: datetime) -> str:
    """The whole document. Whatever a name or an error holds is text in it."""
    if isinstance(history, ArchiveHistory):
        template, values = "archives.html", archives.page(history, now)
    else:
        template, values = "clones.html", clones.page(history, now)
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("clone_pipeline.html_report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
