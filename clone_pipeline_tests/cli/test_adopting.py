"""`adopt` and `release` at the command line, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline_tests.adopting.shapes import SHAPES, made
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.faults.rest import ask

pytestmark = pytest.mark.outside


@pytest.fixture(autouse=True)
def embedded_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qdrant_url: str) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QDRANT_URL", qdrant_url)


def test_one_is_adopted_listed_and_released(qdrant_url: str) -> None:
    with made(qdrant_url, SHAPES["named"]) as collection:
        said = run("adopt", collection, "docs")
        assert said.code == 0, said.stderr
        assert ": 60 points. Nothing was written to Qdrant." in said.stdout.replace("\n", " ")
        [row] = run("list", "--json").json
        assert (row["namespace_name"], row["adopted"]) == ("docs", True)
        assert run("show", "docs").json["infrastructure"]["qdrant_collection"] == collection
        assert run("plan", "docs", "copy", "--json").json["counts"]["points"] == 60
        refused = run("delete", "docs", "--yes", "--loaded")
        assert refused.code == 2
        assert "`clone-pipeline release` forgets it" in refused.error
        assert run("release", "docs", "--json").json["qdrant_collection"] == collection
        assert run("list", "--json").json == []
        assert ask(qdrant_url, f"/collections/{collection}")["points_count"] == 60


def test_several_are_shown_first_and_without_a_terminal_need_yes(qdrant_url: str) -> None:
    with made(qdrant_url, SHAPES["unnamed"]) as one, made(qdrant_url, SHAPES["empty"]) as two:
        # Others may be on the server too: a pattern that only these two fit.
        pattern = f"docs_[{one[5]}{two[5]}]*"
        refused = run("adopt", pattern)
        assert refused.code == 2
        assert f"To be adopted: {one}, 60 points." in refused.stderr
        assert "there is no terminal to ask at" in refused.stderr
        assert run("list", "--json").json == []
        assert run("adopt", pattern, "docs").code == 2
        adopted = run("adopt", pattern, "--yes", "--json").json
        assert {one, two} <= {row["qdrant_collection"] for row in adopted}
