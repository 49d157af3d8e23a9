"""`report`: a page is written, or one sentence says why not."""

from __future__ import annotations

from pathlib import Path

from clone_pipeline_tests.cli.running import run


def test_a_page_is_written_and_replaced(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    for _ in range(2):
        said = run("report", "staging", "-o", str(file), "--json")
        assert said.code == 0, said.stderr
    assert said.json["file"] == str(file)
    assert said.json["namespace_name"] == "staging"
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "page.html is written: " in run("report", "staging", "-o", str(file)).stdout


def test_what_is_wrong_is_one_sentence(home: Path, tmp_path: Path) -> None:
    for arguments, sentence in (
        (("none", "-o", "a.html"), "The ledger has no clone and no policy 'none'"),
        (("staging", "-o", str(tmp_path)), "cannot be written: Is a directory."),
        (("staging", "-o", str(tmp_path / "no" / "a.html")), "No such file or directory."),
        (("staging",), "Missing option '-o' / '--output'."),
    ):
        said = run("report", *arguments)
        assert said.code == 2
        assert sentence in said.stderr.replace("\n", " ")
        assert "Traceback" not in said.stderr
