"""Whoever may only read the source's files can clone them; whoever may not even do that is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from clone_pipeline.core.errors import WorkError
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.objects.s3 import open_client
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.cli.conftest import dagster_home
from clone_pipeline_tests.cli.running import Answer, run
from clone_pipeline_tests.conftest import S3
from clone_pipeline_tests.environments.two import write_environments

from .world import ELSEWHERE, World, blob, of_production, with_files

__all__ = ["dagster_home"]  # fixtures

pytestmark = pytest.mark.outside

ACCOUNTS = {"reader": servers.READER, "stranger": servers.STRANGER}


@pytest.fixture
def profiles(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own credentials may do all, and each account has a profile."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "credentials"
    file.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in ACCOUNTS.items()
        )
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))


def address(s3: S3, profile: str) -> FilesAddress:
    return FilesAddress(s3.url, region="us-east-1", profile=profile)


@pytest.fixture(params=["another store", "the same store"])
def staging(
    request: pytest.FixtureRequest, profiles: None, tmp_path: Path, s3: S3
) -> Iterator[World]:
    fixture = "other_copies" if request.param == "another store" else "copies"
    copies = request.getfixturevalue(fixture)
    with of_production(tmp_path, address(s3, "reader"), s3, copies) as world:
        yield world


def test_reading_alone_is_enough_at_the_source(staging: World) -> None:
    tags = {"TagSet": [{"Key": "kind", "Value": "raw"}]}
    s3, key = staging.s3, "day 1/one ? %.mp4"
    s3.client.put_object_tagging(Bucket=s3.bucket, Key=key, Tagging=tags)
    before = staging.everything(s3)
    client = open_client(address(s3, "reader"))
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=s3.bucket, Key="not there", Body=b"")
    client.close()
    clone = staging.clone(**ELSEWHERE)
    folder = staging.folder(clone) + s3.bucket
    assert staging.everything(staging.copies) == {
        f"{folder}/{key}": b"12345",
        f"{folder}/thumbs/one.jpg": b"jpeg",
    }
    copied = {"Bucket": staging.copies.bucket, "Key": f"{folder}/{key}"}
    assert staging.copies.client.get_object_tagging(**copied)["TagSet"] == tags["TagSet"]
    assert {row["proof"] for row in staging.rows(clone)} <= {"checksum", "etag"}
    assert verify_sealed(staging.stores, None, "copy").good
    assert verify_pair(staging.stores, None, "prod", "copy").equal
    assert staging.everything(s3) == before


def test_who_may_not_even_read_is_told_what_is_needed(
    profiles: None, tmp_path: Path, s3: S3, other_copies: S3
) -> None:
    with of_production(tmp_path, address(s3, "stranger"), s3, other_copies) as world:
        with pytest.raises(WorkError) as refused:
            world.clone(**ELSEWHERE)
        assert world.everything(other_copies) == {}
    assert str(refused.value).startswith("2 of 2 files could not be copied: s3://")
    assert "(the store answers AccessDenied)" in str(refused.value)
    assert "Give the credentials s3:GetObject and s3:ListBucket there" in str(refused.value)


@pytest.fixture
def checked(
    profiles: None, tmp_path: Path, s3: S3, dagster_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Production's catalog, which `check` looks into."""
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "here"))
    monkeypatch.setenv("CLONE_ENVIRONMENTS", str(tmp_path / "environments.yaml"))
    files = with_files([blob(s3.put("one.mp4"))], [])
    with harness.holding(tmp_path / "production", files) as stores:
        yield World(stores, s3, s3)


def check(folder: Path, s3: S3, profile: str, access: str, **more: str) -> tuple[Answer, list[str]]:
    """The answer, and what is said of the files: level and sentence."""
    files = {"endpoint_url": s3.url, "region": "us-east-1", "profile": profile, **more}
    production = {"access": access, "home": str(folder / "production"), "files": files}
    write_environments(folder, production=production)
    answer = run("environments", "check", "production", "--json")
    (one,) = answer.json["environments"]
    return answer, [
        f"{finding['level']}: {finding['sentence']}"
        for finding in one["findings"]
        if finding["store"] == "files"
    ]


def test_the_check_knows_who_may_read_and_who_may_not(checked: World, tmp_path: Path) -> None:
    s3 = checked.s3
    answer, said = check(tmp_path, s3, "reader", "read")
    assert answer.code == 0, answer.stdout
    assert said == [f"ok: A file of an object can be read, in s3://{s3.bucket}."]
    answer, (said,) = check(tmp_path, s3, "stranger", "read")
    assert answer.code == 0, answer.stdout  # a clone that shares files does without
    assert said.startswith("warning: An object's file cannot be read, as copies would: s3://")
    assert "its credentials need s3:ListBucket and s3:GetObject" in said


def test_the_check_knows_who_may_not_write_copies(checked: World, tmp_path: Path) -> None:
    s3 = checked.s3
    before = s3.everything()
    answer, said = check(tmp_path, s3, "reader", "write", bucket=s3.bucket)
    assert answer.code != 0
    assert said[0].startswith(f"ok: s3://{s3.bucket} at ")
    assert said[0].endswith(" can be listed.")
    assert said[1].startswith(f"failed: s3://{s3.bucket} at ")
    assert ": S3 refuses the request (AccessDenied); its credentials need" in said[1]
    assert "for copies s3:PutObject" in said[1]
    assert s3.everything() == before
