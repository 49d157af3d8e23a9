"""`templates`: what is kept as a source can be seen, and removed, at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.generations.templates import create_template
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.cli.test_authorization import Login, login

__all__ = ["login"]  # a fixture


@pytest.fixture
def template_id(home: Path) -> str:
    values = {"template_name": "basic", "description": "Mine", "category": None, "tags": []}
    with harness.open_stores(home) as stores:
        return str(create_template(stores, LOCAL_OPERATOR, "prod", values)["template_id"])


def test_templates_are_listed_without_their_configuration(template_id: str) -> None:
    (row,) = run("templates", "list", "--json").json
    assert row["template_id"] == template_id
    assert (row["name"], row["source_resource_id"]) == ("basic", "ns_prod000001")
    assert "configuration" not in row
    said = run("templates", "list").stdout
    assert "basic" in said
    assert template_id in said


def test_a_template_is_deleted_when_somebody_says_so(template_id: str) -> None:
    assert run("templates", "delete", template_id).code == 2
    no = run("templates", "delete", template_id, answers="n\n")
    assert (no.code, "Delete the template 'basic'" in no.stderr) == (0, True)
    assert len(run("templates", "list", "--json").json) == 1
    yes = run("templates", "delete", template_id, "--yes")
    assert (yes.code, yes.stdout) == (0, f"The template 'basic' ({template_id}) is deleted.\n")
    assert run("templates", "list", "--json").json == []
    gone = run("templates", "delete", template_id, "--yes")
    assert (gone.code, gone.error) == (2, f"There is no template {template_id!r}.")


def test_whoever_may_only_read_deletes_none(template_id: str, login: Login) -> None:
    login("org_acme", "read")
    assert len(run("templates", "list", "--json").json) == 1
    assert run("templates", "delete", template_id, "--yes").code == 2
    login("org_other", "admin")
    assert run("templates", "list", "--json").json == []
    assert run("templates", "delete", template_id, "--yes").code == 2
