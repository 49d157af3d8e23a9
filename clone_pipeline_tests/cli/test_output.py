"""What a person reads: nothing is cut off, at any width, in a pipe, with any name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.cli import output
from clone_pipeline.cli.common import print_json
from clone_pipeline.core import report
from clone_pipeline.core.references import ACTS, ACTS_AGAIN, PRESERVED
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.cli.running import Answer, at_width, run
from clone_pipeline_tests.sources import write_bundle

ROWS = [
    {"name": "n" * 64, "points": 1_234_567, "state": None, "wide": "w" * 60},
    {"name": "short", "points": 0, "state": "ready", "wide": ""},
]


def lines(answer: Answer) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", answer.stdout).splitlines()


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_a_table_that_does_not_fit_becomes_a_list(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with at_width(monkeypatch, columns):
        output.print_table("Things", ROWS)
    text = printed(capsys)
    assert text[0].strip() == "Things"
    # Whole values, whatever the width.
    for value in ("n" * 64, "w" * 60, "1,234,567", "ready"):
        assert any(value in line for line in text)
    as_table = any("n" * 64 in line and "1,234,567" in line for line in text)
    assert as_table is (columns == 200)
    if as_table:
        assert max(map(len, text)) <= columns
    else:
        assert "  points: 1,234,567" in text


def test_a_pipe_has_no_width(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("Things", ROWS)
    [line] = [line for line in printed(capsys) if "n" * 64 in line]
    assert "1,234,567" in line
    assert "w" * 60 in line


def test_no_records_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("Things", [])
    assert printed(capsys) == ["Things: none"]


@pytest.mark.parametrize(
    "name", ["[/b]", "[red]x", ":smile:", "\x1b[2Jgone", "a\tb", "half \ud800", "ünï 名前"]
)
def test_a_name_is_only_a_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("Things", [{"name": name}])
    output.print_record({"name": name, "again": name})
    output.say(name, (name, "bold"))
    text = capsys.readouterr().out
    shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
    assert text.count(shown) == 5
    assert "\x1b" not in text
    assert "\ud800" not in text


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"buckets": 2, "points": 1}, "2 buckets, 1 point"),
        ({"taxonomies": 1, "objects": 0}, "1 taxonomy, 0 objects"),
        ({"points": 1_000_000}, "1,000,000 points"),
        ({}, ""),
    ],
)
def test_counts_are_words(counts: dict[str, int], words: str) -> None:
    assert output.counted(counts) == words


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"collections": 0, "objects": 0, "points": 600}, "600 points"),
        ({"buckets": 1, "objects": 0, "points": 0}, "1 bucket"),
        ({"objects": 0, "points": 0}, "0 points"),
    ],
)
def test_of_what_there_is_none_nothing_is_said(counts: dict[str, int], words: str) -> None:
    assert output.what_there_is(counts) == words


def test_numbers_are_on_the_right_though_one_is_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_table(
        "Things",
        [{"points": 1_000, "why": None}, {"points": None, "why": "x"}, {"points": 7, "why": "y"}],
    )
    first, _, last = (line.rstrip() for line in printed(capsys)[4:7])
    assert first.endswith("1,000")
    assert last.index("7") == first.rindex("0")


@pytest.mark.parametrize(
    ("count", "size"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (6_030_053, "6.0 MB"),
        (12_700, "13 kB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_short(count: int, size: str) -> None:
    assert report.size(count) == size


@pytest.mark.parametrize("value", ["half \ud800", "ünï", [1, None, {"a": True}]])
def test_json_is_json_whatever_is_in_it(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(value)
    assert json.loads(capsys.readouterr().out) == value


# ---- the commands ----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_a_plan_can_be_read(columns: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_width(monkeypatch, columns):
        text = lines(run("plan", "prod", "new"))
    assert text[0].startswith("prod (ns_prod000001, org_acme)  ->  new (ns_")
    copies = "Copies: 2 buckets, 2 collections, 1 retriever, 3 objects, 5 points"
    assert text[1] == copies
    # One line each, with what stands there, where and why.
    assert any(
        re.fullmatch(
            r"  cleared    collection col_scenes0001: taxonomy_applications\[0\]\.taxonomy_id -> "
            r"tax_kinds000001 \(.+\)",
            line,
        )
        for line in text
    )
    assert any(line.startswith("References: ") and "rewritten" in line for line in text)
    assert sum(line.startswith("! ") for line in text) == 4
    in_tables = [line for line in text if "ret_search00000001" in line and "->" not in line]
    assert all(len(line) <= columns for line in in_tables)


def test_a_plan_without_points_says_nothing_of_how_they_travel(home: Path) -> None:
    told = lines(run("plan", "prod", "new"))
    without = lines(run("plan", "prod", "new", "--no-collections"))
    for beginning in ("Lane: ", "Points: ", "Proof: "):
        assert any(line.startswith(beginning) for line in told)
        assert not any(line.startswith(beginning) for line in without)
    assert any(line.startswith("Disk: ") for line in without)


def test_a_refresh_says_what_it_has_replaced(home: Path) -> None:
    first = lines(run("clone", "prod", "again"))[0]
    second = lines(run("clone", "prod", "again", "--if-exists", "replace"))[0]
    assert first.endswith(", a clone of ns_prod000001")
    assert second == f"{first}, in the place of generation 1"


@pytest.mark.parametrize("columns", [80, 120, None])
def test_the_list_can_be_read(
    columns: int | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a_name_of_sixty_four_characters_" * 2
    write_bundle(home.parent / "long", prod("ns_long000001", name))
    assert run("load", "long").code == 0
    if columns is None:
        text = lines(run("list"))
    else:
        with at_width(monkeypatch, columns):
            text = lines(run("list"))
    assert any(name in line for line in text)
    assert any("ns_long000001" in line for line in text)
    if columns is None:
        # A line for each, so that it can be grepped.
        [line] = [line for line in text if name in line]
        assert "ns_long000001" in line
    elif columns == 80:
        assert max(map(len, text)) <= columns


def test_long_lists_are_cut_with_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LISTED", 2)
    reference = {
        "outcome": "cleared",
        "resource": "collection",
        "resource_id": "col_1",
        "path": "schedule",
        "old": "",
        "reason": "acts",
    }
    output.print_references({"cleared": 5}, [reference] * 5)
    assert printed(capsys) == [
        "References: 5 cleared",
        *["  cleared    collection col_1: schedule (acts)"] * 2,
        "  ... and 3 more; --json shows all.",
    ]


def test_cleared_settings_are_told_apart_from_references(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = {"resource": "bucket", "resource_id": "bkt_1", "path": "p", "old": "", "reason": "gone"}
    references = [{**one, "outcome": "cleared", "reason": why} for why in ("gone", ACTS, ACTS)]
    output.print_references({"cleared": 3}, references)
    assert printed(capsys)[0] == "References: 3 cleared (2 settings)"


def test_references_that_are_kept_are_listed_after_what_to_look_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = {"resource": "retriever", "resource_id": "ret_1", "path": "p", "reason": "why"}
    outcomes = ("kept", "rewritten", "cleared")
    references = [{**one, "outcome": outcome, "old": "x"} for outcome in outcomes]
    output.print_references({"cleared": 1, "kept": 1, "rewritten": 1}, references)
    assert printed(capsys)[1:] == [
        "  cleared    retriever ret_1: p -> x (why)",
        "  kept       retriever ret_1: p -> x (why)",
    ]


def test_what_acts_again_comes_first_and_is_never_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever restores has to see it, among however many references that kept their ids."""
    monkeypatch.setattr(output, "LISTED", 1)
    one = {"resource": "bucket", "resource_id": "bkt_1", "path": "p", "old": ""}
    kept = {**one, "outcome": "kept", "reason": PRESERVED}
    again = {**one, "outcome": "kept", "reason": ACTS_AGAIN}
    cleared = {**one, "outcome": "cleared", "reason": "gone"}
    references = [kept, cleared, again, kept, cleared, again, kept]
    output.print_references({"cleared": 2, "kept": 5}, references)
    assert printed(capsys) == [
        "References: 2 cleared, 5 kept (2 settings that act again)",
        *[f"  acts again bucket bkt_1: p ({ACTS_AGAIN})"] * 2,
        "  cleared    bucket bkt_1: p (gone)",
        "  ... and 1 more; --json shows all.",
        "  kept       3 references, which stay as they are (ids are preserved)",
    ]


def test_a_reference_of_one_version_names_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    one = {"resource": "taxonomy", "resource_id": "tax_1", "path": "p", "old": "x"}
    references = [
        {**one, "version": version, "outcome": "unlisted", "reason": "why"} for version in (1, 2)
    ]
    output.print_references({"unlisted": 2}, references)
    assert printed(capsys)[1:] == [
        f"  unlisted   taxonomy tax_1 version {version}: p -> x (why)" for version in (1, 2)
    ]
