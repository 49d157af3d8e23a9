"""The pages say what the code does: tables, options, commands, SQL and links are compared."""

from __future__ import annotations

import json
import re
import shlex
import struct
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import click
import dagster as dg
import pytest
import yaml
from pydantic import BaseModel
from sqlalchemy import Column, RowMapping, TextClause, bindparam, text
from sqlalchemy.dialects import postgresql

from clone_pipeline.cli.main import cli
from clone_pipeline.core.catalog.schema import UtcTime, metadata
from clone_pipeline.core.request import CloneRequest, IncludeResources
from clone_pipeline.core.stores import Stores
from clone_pipeline.environments import read_environments
from clone_pipeline.environments.models import Environment, Files, Qdrant, SameThings
from clone_pipeline.policies import (
    BackupPolicy,
    Keep,
    OnChange,
    RefreshPolicy,
    RestoreTest,
    Target,
    read_policies,
)
from clone_pipeline.settings import Settings
from clone_pipeline_tests.cli.running import parsed
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import clone, holding

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted(DOCS.glob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
REQUEST = (DOCS / "request.md").read_text(encoding="utf-8")
DEPLOYMENT = (DOCS / "deployment.md").read_text(encoding="utf-8")
DAGSTER_UI = (DOCS / "dagster_ui.md").read_text(encoding="utf-8")
CATALOG = (DOCS / "catalog.md").read_text(encoding="utf-8")
POLICIES = (DOCS / "policies.md").read_text(encoding="utf-8")
ENVIRONMENTS = (DOCS / "environments.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")


def rows(page: str, heading: str, columns: str) -> list[list[str]]:
    """The rows of the first table under a heading that has these columns."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page, flags=re.M)[1]
    lines = section.partition(f"| {columns} |\n")[2].splitlines()[1:]
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        found.append([cell.strip().replace("\\|", "|") for cell in cells])
    assert found, f"no table under {heading!r}"
    return found


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.M | re.S)


# ---- README ----------------------------------------------------------------------------------


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.split()) <= 1500


def test_every_page_can_be_found_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", README))
    assert linked == {page.name for page in DOCS.glob("*.md")}


# ---- docs/request.md, deployment.md, cli.md, dagster_ui.md -----------------------------------


def test_the_request_table_is_the_request() -> None:
    expected = []
    for name, info in CloneRequest.model_fields.items():
        if name == "include_resources":
            expected += [
                [f"`{name}.{key}`", _values(item.annotation), _default(item), item.description]
                for key, item in IncludeResources.model_fields.items()
            ]
        else:
            expected.append(
                [f"`{name}`", _values(info.annotation), _default(info), info.description]
            )
    assert rows(REQUEST, "The request", "key | value | default | meaning") == expected


def _values(annotation: Any) -> str:
    if get_origin(annotation) is list:
        return "list"
    choices = get_args(annotation) or (annotation,)
    if get_origin(choices[0]) is Annotated:  # `Address | None`
        choices = get_args(choices[0])[:1]
    if isinstance(choices[0], str):
        return " | ".join(f"`{choice}`" for choice in choices)
    words = {str: "text", Path: "text", int: "whole number", bool: "true or false"}
    return next((words[choice] for choice in choices if choice in words), "keys")


def _default(info: Any) -> str:
    if info.is_required():
        return "required"
    if info.default in (None, "") or isinstance(info.default, BaseModel):
        return ""
    return f"`{json.dumps(info.default)}`".replace('"', "")


def test_the_environment_table_is_the_settings() -> None:
    expected = {
        f"`{info.validation_alias}`": "" if info.default is None else f"`{info.default}`"
        for info in Settings.model_fields.values()
    }
    found = rows(DEPLOYMENT, "Real stores", "variable | default | meaning")
    assert {variable: default for variable, default, _ in found} == expected


def test_the_commands_table_has_every_command() -> None:
    found = []
    for names, _ in rows(CLI, "Commands", "command | does"):
        for name in re.findall(r"`([^`]+)`", names):
            found.append(" ".join(word for word in name.split() if word.islower()))
    assert sorted(found) == sorted(_commands(cli))


def _commands(group: click.Group, above: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        path = f"{above} {name}".strip()
        found += _commands(command, path) if isinstance(command, click.Group) else [path]
    return found


# A call of the command line, whatever variables stand before it.
_CALL = re.compile(r'(?:\w+="[^"]*" )*(?:\.venv/bin/)?(clone-pipeline .*)')


def _examples() -> list[str]:
    found = []
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "sh"):
            for part in re.split(r"\n|&&", block):
                if call := _CALL.match(part.strip()):
                    found.append(call[1])
    return found


@pytest.mark.parametrize("call", _examples())
def test_the_examples_are_commands_that_exist(call: str) -> None:
    command: click.Command = cli
    arguments = shlex.split(call)[1:]
    if arguments[0] == "--environment":
        del arguments[:2]
    while isinstance(command, click.Group):
        command = command.commands[arguments.pop(0)]
    parsed(command, arguments)  # raises for an unknown option, a missing argument


def test_the_launchpad_example_is_a_request() -> None:
    (form,) = blocks(DAGSTER_UI, "yaml")
    CloneRequest.model_validate(yaml.safe_load(form))


# ---- docs/catalog.md -------------------------------------------------------------------------


def test_the_catalog_page_has_every_table() -> None:
    documented = re.findall(r"^### `(\w+)`$", CATALOG, flags=re.M)
    assert sorted(documented) == sorted(metadata.tables)


@pytest.mark.parametrize("table", metadata.tables)
def test_the_catalog_page_has_every_column(table: str) -> None:
    expected = [
        [f"`{column.name}`", _type(column), _key(column)]
        for column in metadata.tables[table].columns
    ]
    found = rows(CATALOG, f"`{table}`", "column | type | | meaning")
    assert [row[:3] for row in found] == expected
    assert all(row[3] for row in found)


def _type(column: Column[Any]) -> str:
    written = column.type.compile(dialect=postgresql.dialect())
    return "timestamptz" if written == "TIMESTAMP WITH TIME ZONE" else written.lower()


def _key(column: Column[Any]) -> str:
    return "key" if column.primary_key else "null" if column.nullable else ""


NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
STAGING = {"organization_id": "org_acme", "identifier": "staging"}
REFRESH: dict[str, Any] = {"run_id": "refresh", "if_exists": "replace"}


def statements() -> list[TextClause]:
    """The page's SQL: resolve, children, create, change."""
    found = [text(block) for block in blocks(CATALOG, "sql")]
    return found[:2] + [one.bindparams(bindparam("now", type_=UtcTime())) for one in found[2:]]


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    with holding(tmp_path, sample(), catalog_url=catalog_url) as stores:
        yield stores


def read(stores: Stores, statement: TextClause, values: Any) -> RowMapping:
    with stores.catalog.read() as connection:
        return connection.execute(statement, values).mappings().one()


def test_a_service_that_reads_as_the_page_says_sees_one_generation(stores: Stores) -> None:
    resolve, children, _, _ = statements()
    clone(stores, "prod", "staging", until="publish_clone", run_id="first")
    with stores.catalog.read() as connection:
        assert connection.execute(resolve, STAGING).first() is None
    clone(stores, "prod", "staging", run_id="first")
    first = read(stores, resolve, STAGING)
    clone(stores, "prod", "staging", until="publish_clone", **REFRESH)
    assert read(stores, resolve, STAGING) == first
    clone(stores, "prod", "staging", **REFRESH)
    second = read(stores, resolve, STAGING | {"identifier": first["namespace_id"]})
    assert (first["generation"], second["generation"]) == (1, 2)
    assert read(stores, children, second) == read(stores, children, first)


@pytest.mark.outside
def test_a_service_that_writes_as_the_page_says_hits_the_live_generation(stores: Stores) -> None:
    resolve, children, create, change = statements()
    clone(stores, "prod", "staging")
    first = read(stores, resolve, STAGING)
    clone(stores, "prod", "staging", **REFRESH)
    second = read(stores, resolve, STAGING)
    values = {**read(stores, children, second), "document": '{"stages": []}', "now": NOW}
    with stores.catalog.write() as connection:
        for row, changed in ((first, 0), (second, 1)):
            key = {"namespace_key": row["namespace_key"]}
            assert connection.execute(change, values | key).rowcount == changed
        new = {"organization_id": "org_acme", "namespace_id": "ns_new", "namespace_name": "new"}
        connection.execute(create, new | {"document": "{}", "now": NOW})
    with stores.vectors() as vectors:
        vectors.create("ns_new", sample()["qdrant.json"])
    assert clone(stores, "new", "copy_of_new").status == "ready"


# ---- docs/policies.md ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("A nightly backup", BackupPolicy),
        ("Keep", Keep),
        ("Staging from production", RefreshPolicy),
        ("On change", OnChange),
        ("The restore test", RestoreTest),
        ("Notify", Target),
    ],
)
def test_the_policies_tables_are_the_models(heading: str, model: type[BaseModel]) -> None:
    assert rows(POLICIES, heading, "key | value | default | meaning") == _keys(model)


def _keys(model: type[BaseModel]) -> list[list[str | None]]:
    """The rows of the table of a model."""
    return [
        [f"`{name}`", _values(info.annotation), _default(info), info.description]
        for name, info in model.model_fields.items()
    ]


@pytest.mark.parametrize("block", blocks(POLICIES, "yaml"))
def test_the_policies_examples_are_in_order(block: str, tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(block, encoding="utf-8")
    policies = read_policies(file)
    assert policies.problems == ()
    assert len(policies.backups) + len(policies.refreshes) == 1


def test_the_alerting_example_can_be_loaded() -> None:
    (block,) = blocks(POLICIES, "python")
    names: dict[str, Any] = {}
    exec(block, names)
    # Dagster would else ask the instance of an earlier test, which is gone.
    with dg.instance_for_test():
        dg.Definitions.validate_loadable(names["defs"])


# ---- docs/environments.md --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("An environment", Environment),
        ("Its Qdrant", Qdrant),
        ("Its files", Files),
        ("The same thing, under other names", SameThings),
    ],
)
def test_the_environments_tables_are_the_models(heading: str, model: type[BaseModel]) -> None:
    assert rows(ENVIRONMENTS, heading, "key | value | default | meaning") == _keys(model)


@pytest.mark.parametrize("block", blocks(ENVIRONMENTS, "yaml"))
def test_the_environments_examples_are_in_order(block: str, tmp_path: Path) -> None:
    file = tmp_path / "environments.yaml"
    file.write_text(block, encoding="utf-8")
    known = read_environments(file)
    assert known.problems == ()
    assert "production" in known.by_name


# ---- docs/architecture.md --------------------------------------------------------------------


def test_the_modules_table_has_every_module() -> None:
    package = ROOT / "clone_pipeline"
    expected = [
        f"`{path.relative_to(package).as_posix()}{'/' if path.is_dir() else ''}`"
        for folder in (package, package / "core")
        for path in folder.iterdir()
        if path.name not in ("__init__.py", "__pycache__", "core")
        and (path.is_dir() or path.suffix == ".py")
    ]
    found = [name for name, _ in rows(ARCHITECTURE, "Modules", "module | what it is for")]
    assert sorted(found) == sorted(expected)


# ---- the glossary ----------------------------------------------------------------------------


def test_the_glossary_is_in_order_and_leads_to_sections_that_there_are() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\*", page, re.MULTILINE)
    assert words == sorted(words)
    for target, section in re.findall(r"\]\(([a-z]+\.md)#([a-z-]+)\)", page):
        headings = re.findall(
            r"^#+ (.+)$", (ROOT / "docs" / target).read_text(encoding="utf-8"), re.MULTILINE
        )
        assert section in {heading.lower().replace(" ", "-") for heading in headings}


# ---- all pages -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        assert not heading or heading in _headings(there), target


def _headings(page: Path) -> set[str]:
    """The headings of a page as the anchors that links name."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize(
    "image", sorted((ROOT / "docs" / "images").glob("*")), ids=lambda p: p.name
)
def test_the_pictures_are_small_and_used(image: Path) -> None:
    content = image.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 200_000
    assert struct.unpack(">I", content[16:20]) == (1400,)
    assert any(f"images/{image.name})" in page.read_text(encoding="utf-8") for page in PAGES)
