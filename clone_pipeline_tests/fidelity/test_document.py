"""The page about what is kept is what the stores do, and nothing in it passes in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import clone_pipeline
from clone_pipeline.core.vectors.server import ServerStore

from .document import document

PAGE = (Path(clone_pipeline.__file__).parents[1] / "docs" / "fidelity.md").read_text("utf-8")


def cells() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (?!value|-)", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_no_cell_is_silent() -> None:
    """Everything is kept, refused with a reason, or changed, told and proven."""
    assert len(cells()) > 100
    for value, load, *way, proof, embedded in cells():
        assert "SILENT" not in load, value
        assert load == "kept" or "told" in load or ": " in load or "keeps" in load, value
        assert all(way), value
        assert proof in ("-", "proven; a change is found"), value
        assert re.search(r"proven; a change is found$|^the same$|^-$|^refused: ", embedded), value


def test_the_page_is_what_the_stores_do(qdrant_url: str) -> None:
    store = ServerStore.open(qdrant_url)
    try:
        version = store.version()
    finally:
        store.close()
    if f"on a Qdrant server {version} " not in " ".join(PAGE.split()):
        pytest.skip(f"the page was measured on another Qdrant than {version}")
    assert document(qdrant_url) == PAGE
