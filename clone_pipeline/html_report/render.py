"""The page as HTML: no script, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from clone_pipeline.core.ledger.history import History
from clone_pipeline.html_report.view import page


def render(history: History, now: datetime) -> str:
    """The whole document. Whatever a name or an error holds is text in it."""
    return _environment().get_template("page.html").render(page(history, now))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("clone_pipeline.html_report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
