from __future__ import annotations

from pathlib import Path

import clone_pipeline
from clone_pipeline.core.references import TABLE
from clone_pipeline.core.references.page import markdown

PAGE = Path(clone_pipeline.__file__).parents[1] / "docs" / "references.md"


def test_the_page_is_what_the_table_says() -> None:
    how = "python -m clone_pipeline.core.references.page > docs/references.md"
    assert PAGE.read_text(encoding="utf-8") == markdown(), f"stale; run: {how}"


def test_the_page_has_every_row() -> None:
    page = markdown()
    assert all(f"| `{row.path}` | {row.target} |" in page for row in TABLE)
