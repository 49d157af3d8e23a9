"""The environments file: every kind of mistake with its line and its sentence, and none of it is
used then."""

# One mistake a line, with its whole sentence, reads best as a table.
# ruff: noqa: E501

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clone_pipeline.environments import Environments, read_environments
from clone_pipeline.environments.models import EnvironmentsFile

from ..cli.running import run

ROOT = Path(__file__).parents[2]
GOOD = """environments:
  good:
    access: read
    home: /srv/good
"""


def read(folder: Path, content: str | bytes) -> Environments:
    file = folder / "environments.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_environments(file)


def said(known: Environments) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.sentence) for problem in known.problems]


SERVERS = ["access: read", "catalog_url: postgresql://db/catalog"]
QDRANT = "qdrant: {url: 'http://q:6333'}"
NO_SECRET = (
    "write `{env: NAME}`, the name of an environment variable: secrets do not stand in this file"
)
ADDRESS = "an address begins with `https://` and a host, such as `https://a.example/b`"
IN_IT = "the address holds a secret; put it into a variable, and write `{env: NAME}`"

# (name, lines of the entry, the line that is named, the sentence)
MISTAKES = [
    ("default", ["access: read", "home: /x"], 5, "`default` is what the variables describe (CATALOG_URL, ...), not a file."),
    ("a:b", ["access: read", "home: /x"], 5, "The name 'a:b' is not usable: write letters, digits, `_` and `-`."),
    ("x" * 65, ["access: read", "home: /x"], 5, f"The name '{'x' * 65}' is not usable: write letters, digits, `_` and `-`."),
    ("good", ["access: read", "home: /x"], 5, "`good` stands here and in line 2; keep one."),
    ("b", ["home: /x"], 5, "`access` is required."),
    ("b", ["access: admin", "home: /x"], 6, "`access` is not usable: input should be 'read' or 'write' (got \"admin\")."),
    ("b", ["access: read"], 5, "An environment needs `catalog_url` and `qdrant`, or `home`."),
    ("b", SERVERS, 5, "An environment needs `catalog_url` and `qdrant`, or `home`."),
    ("b", ["access: read", "home: /x", QDRANT], 5, "An environment has either `home`, or `catalog_url` and `qdrant`."),
    ("b", ["access: read", "home: 7"], 7, "`home` is the path of a folder."),
    ("b", ["access: read", "home: /x", "region: eu"], 8, "Unknown key `region`."),
    ("b", ["access: read", "home: /x", "files: {bukket: b}"], 8, "Unknown key `files.bukket`."),
    ("b", ["access: read", "home: /x", "files: {region: 7}"], 8, "`files.region` is not usable: input should be a valid string."),
    ("b", ["access: read", "home: /x", "files: {endpoint_url: s3.example}"], 8, f"`files.endpoint_url`: {ADDRESS}."),
    ("b", ["access: read", "home: /x", "files: {endpoint_url: 'https://u:hush-hush@s3.example'}"], 8, f"`files.endpoint_url`: {IN_IT}."),
    ("b", ["access: read", "home: /x", "files: {bucket: 's3://b/x'}"], 8, "`files.bucket`: it is the name of an S3 bucket, without s3:// and prefix."),
    ("b", ["access: read", "home: /x", "files: {prefix: a//b}"], 8, "`files.prefix`: it is written a/b, without empty segments, `.` or `..`."),
    ("b", ["access: read", "home: /x", "api_key: sk_hush"], 8, f"`api_key`: {NO_SECRET}."),
    ("b", ["access: read", "home: /x", "api_key: {env: 'NO SUCH NAME'}"], 8, f"`api_key`: {NO_SECRET}."),
    ("b", ["access: read", "catalog_url: 'postgresql://u:hush@db/c'", QDRANT], 7, "`catalog_url` holds a password; put it into a variable, and write `{env: NAME}`."),
    ("b", ["access: read", "catalog_url: catalog.db", QDRANT], 7, "`catalog_url` is no address of a database, such as postgresql://host:5432/name."),
    ("b", ["access: read", "catalog_url: 7", QDRANT], 7, "`catalog_url`: write an address without a password, or `{env: NAME}`, the name of an environment variable: secrets do not stand in this file."),
    ("b", [*SERVERS, "qdrant: {}"], 8, "`qdrant.url` is required."),
    ("b", [*SERVERS, "qdrant: {url: 'q:6333'}"], 8, f"`qdrant.url`: {ADDRESS}."),
    ("b", [*SERVERS, "qdrant: {url: 'http://:hush-hush@q:6333'}"], 8, f"`qdrant.url`: {IN_IT}."),
    ("b", [*SERVERS, "qdrant:", "  url: http://q:6333", "  api_key: hush"], 10, f"`qdrant.api_key`: {NO_SECRET}."),
    ("b", [*SERVERS, "qdrant:", "  url: http://q:6333", "  read_only_api_key: hush"], 10, f"`qdrant.read_only_api_key`: {NO_SECRET}."),
    ("b", [*SERVERS, "qdrant: {url: 'http://q:6333', grpc_port: 70000}"], 8, "`qdrant.grpc_port` is not usable: input should be less than or equal to 65535."),
    ("b", [*SERVERS, "qdrant: http://q:6333"], 8, "`qdrant` is not usable: input should be a valid dictionary or instance of Qdrant."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lines", "line", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line_and_takes_the_file_down(
    name: str, lines: list[str], line: int, sentence: str, tmp_path: Path
) -> None:
    entry = "".join(f"    {one}\n" for one in lines)
    known = read(tmp_path, f'{GOOD}  "{name}":\n{entry}')
    assert said(known) == [(line, sentence)]
    assert known.by_name == {}


# (the whole file, the line, the sentence)
FILES = [
    ("environments: [", 1, "This is not YAML: expected the node content, but found '<stream end>'."),
    ("environments: {a: !secret x}", 1, "Could not determine a constructor for the tag '!secret'."),
    ("- a", 1, "The file must hold `environments`, each with its name."),
    ("environments: [a]", 1, "`environments` must hold each by its name."),
    ("environments:\n  b: /srv/b\n", 2, "Each environment has `access`, `catalog_url` and `qdrant`."),
    (f"{GOOD}\nenvironment: {{}}\n", 6, "Unknown key `environment`; accepted are: map, environments."),
    (b"\xff\xfe\x00", None, "This is not YAML: "),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line", "sentence"), FILES)
def test_a_file_that_is_none_is_one_sentence(
    content: str | bytes, line: int | None, sentence: str, tmp_path: Path
) -> None:
    found = said(read(tmp_path, content))
    assert [where for where, _ in found][:1] == [line]
    assert found[0][1].startswith(sentence)


@pytest.mark.parametrize("content", ["", "environments:\n", "environments: {}\n"])
def test_a_file_without_environments_is_no_mistake(content: str, tmp_path: Path) -> None:
    known = read(tmp_path, content)
    assert (known.problems, known.names) == ((), ["default"])


def test_all_mistakes_are_told_at_once_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "environments.yaml"
    file.write_text(f"{GOOD}  b: {{access: read}}\n  c: {{home: /x}}\nd: 1\n")
    monkeypatch.setenv("CLONE_ENVIRONMENTS", str(file))
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    for command in ("list", "check"):
        answer = run("environments", command, "--json")
        assert answer.code == 2
        lines = [one.partition(": ")[0] for one in answer.json["problems"]]
        assert lines == [f"{file}, line {line}" for line in (5, 6, 7)]
        plain = run("environments", command)
        assert plain.code == 2
        assert plain.stdout.count(f"{file}, line ") == 3
    # What is named is refused; where nothing is named, the file is not used.
    assert run("plan", "good:prod", "copy").code == 2
    assert run("--environment", "good", "list").error.startswith(f"{file}, line 5: ")
    assert run("list").code == 0


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    [problem] = read_environments(tmp_path / "none.yaml").problems
    assert problem.sentence == "CLONE_ENVIRONMENTS cannot be read: No such file or directory."


def test_the_example_is_in_order() -> None:
    known = read_environments(ROOT / "environments.example.yaml")
    assert known.problems == ()
    assert {one.access for one in known.by_name.values()} == {"read", "write"}


def test_the_schema_for_editors_is_the_models() -> None:
    schema = json.loads((ROOT / "docs" / "environments.schema.json").read_text(encoding="utf-8"))
    assert schema == EnvironmentsFile.model_json_schema()
