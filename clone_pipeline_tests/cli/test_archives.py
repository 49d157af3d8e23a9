"""`dump` and `load` with an address: archives, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.conftest import S3


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.outside)])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "file":
        return (tmp_path / "archive").as_uri()
    s3: S3 = request.getfixturevalue("s3")
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3_ENDPOINT_URL", s3.url)
    return f"s3://{s3.bucket}/backups/prod"


def test_an_archive_goes_out_and_comes_back(
    home: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = run("dump", "prod", address)
    assert dumped.code == 0, dumped.stderr
    assert f"Written to {address}: " in dumped.stdout.replace("\n", " ")
    assert "The archive holds" in dumped.stderr
    again = run("dump", "prod", address)
    assert again.code == 2
    assert again.error == f"{address} holds an archive already; name a new place."
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "empty"))
    loaded = run("load", address, "--json")
    assert loaded.code == 0, loaded.stderr
    assert (loaded.json["namespace_name"], loaded.json["warnings"]) == ("prod", [])
    assert run("load", address).code == 2


def test_json_tells_whether_points_were_written_meanwhile(home: Path, tmp_path: Path) -> None:
    told = run("dump", "prod", (tmp_path / "archive").as_uri(), "--json").json
    assert (told["points_reused"], told["consistent"]) == (0, None)


def test_damage_is_one_sentence(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    run("dump", "prod", folder.as_uri())
    part = next(folder.glob("points-*"))
    part.write_bytes(b"x" * part.stat().st_size)
    answer = run("load", folder.as_uri())
    assert answer.code == 2
    assert (
        f"{part.name}: is damaged: its checksum is not the one in manifest.json." in answer.stderr
    )
    assert run("load", (tmp_path / "none").as_uri()).error.startswith("manifest.json: is missing")


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_it_comes_back_beside_the_source_under_another_name(
    home: Path, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "out"
    address = place.as_uri() if kind == "archive" else str(place)
    assert run("dump", "prod", address).code == 0
    taken = run("load", address, "--as", "again")
    assert taken.code == 2
    assert "exists already; load the bundle with `--new-ids`" in taken.error
    taken = run("load", address, "--new-ids")
    assert "exists already; load the bundle with `--as`" in taken.error
    loaded = run("load", address, "--as", "again", "--new-ids", "--json")
    assert loaded.code == 0, loaded.stderr
    assert loaded.json["namespace_name"] == "again"
    assert [one["outcome"] for one in loaded.json["references"]].count("cleared") > 0
    assert run("load", address, "--organization", "", "--new-ids").error.startswith(
        "`--organization` must have 1 to 128 characters"
    )
