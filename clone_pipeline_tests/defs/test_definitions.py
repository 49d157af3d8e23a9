"""What Dagster loads: the job, its form, and that the core knows nothing of Dagster."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import dagster as dg
import pytest
import yaml

import clone_pipeline
from clone_pipeline.cli.clones import clone as clone_command
from clone_pipeline.cli.clones import plan as plan_command
from clone_pipeline.core.request import CloneRequest, IncludeResources
from clone_pipeline.launch import clone_job
from clone_pipeline_tests import forks
from clone_pipeline_tests.cli.running import parsed

PACKAGE = Path(clone_pipeline.__file__).parent
ROOT = PACKAGE.parent
MINIMAL = {"namespace_identifier": "prod", "namespace_name": "staging"}


def test_everything_can_be_loaded() -> None:
    from clone_pipeline.definitions import defs

    dg.Definitions.validate_loadable(defs)
    assert defs.resolve_job_def("clone_namespace") is clone_job()
    sweep = defs.resolve_job_def("sweep_namespaces")
    assert [node.name for node in sweep.nodes] == ["sweep"]
    assert sweep.description


_SHOW = """
import dagster as dg
from clone_pipeline.definitions import defs
dg.Definitions.validate_loadable(defs)
repository = defs.get_repository_def()
print(*sorted(one.name for one in [*repository.schedule_defs, *repository.sensor_defs]))
"""


def loaded(policies: Path | None, folder: Path) -> tuple[list[str], str]:
    """The schedules and sensors that a process loads, and what it says meanwhile."""
    done = forks.server().run(_SHOW, cwd=ROOT, env=environment(policies, folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def environment(policies: Path | None, folder: Path) -> dict[str, str]:
    given = {} if policies is None else {"CLONE_POLICIES": str(policies)}
    return {**os.environ, "CLONE_PIPELINE_HOME": str(folder), **given}


LOOKING_AFTER = ["backup_partitions", "clone_cancelled", "clone_failed", "clones_in_waiting"]


@pytest.mark.outside
def test_a_python_that_loads_it_has_nothing_to_say(tmp_path: Path) -> None:
    env = environment(ROOT / "policies.example.yaml", tmp_path)
    command = [sys.executable, "-c", f"{_SHOW}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=True)
    names, modules = done.stdout.splitlines()
    assert names.split() == loaded(ROOT / "policies.example.yaml", tmp_path)[0]
    assert done.stderr == ""
    # They take a second, and no start needs them.
    assert not {"alembic", "psycopg", "qdrant_client"} & {*modules.split()}


@pytest.mark.outside
def test_each_policy_is_a_schedule_or_a_sensor(tmp_path: Path) -> None:
    names, said = loaded(ROOT / "policies.example.yaml", tmp_path)
    ours = {"clones_in_waiting", "clone_failed", "clone_cancelled", "policies_file", "hourly_sweep"}
    ours |= {"backup_partitions"}
    assert set(names) == ours | {"nightly", "restore_test_nightly", "staging_refresh_staging"}
    assert said == ""


@pytest.mark.outside
def test_without_a_policies_file_only_the_runs_are_looked_after(tmp_path: Path) -> None:
    names, said = loaded(None, tmp_path)
    assert names == [*LOOKING_AFTER, "hourly_sweep"]
    assert said == ""


@pytest.mark.outside
@pytest.mark.parametrize("content", ["backups: [{name: a}]\n", "backups: [\n", None])
def test_a_broken_policies_file_keeps_nothing_from_loading(
    content: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "policies.yaml"
    if content is not None:
        file.write_text(content)
    names, said = loaded(file, tmp_path)
    assert names == [*LOOKING_AFTER, "hourly_sweep", "policies_file"]
    assert str(file) in said


def test_the_workspace_names_the_module_that_there_is() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    [entry] = workspace["load_from"]
    assert entry["python_module"]["location_name"] == "clone_pipeline"
    module = importlib.import_module(entry["python_module"]["module_name"])
    assert isinstance(module.defs, dg.Definitions)
    # Either of these in pyproject.toml makes Dagster ignore workspace.yaml without a word.
    assert not re.search(r"^\[tool\.(dg|dagster)\b", (ROOT / "pyproject.toml").read_text(), re.M)


# ---- the job's shape, which other people's scripts rely on -----------------------------------


def test_the_ops_and_their_order_are_the_contract() -> None:
    below = {
        node.name: {output.node_name for output in outputs.values()}
        for node, outputs in _inputs(clone_job())
    }
    assert below == {
        "plan_clone": set(),
        "clone_config": {"plan_clone"},
        "clone_buckets": {"clone_config"},
        "clone_collections": {"clone_buckets"},
        "copy_points": {"clone_collections"},
        "clone_retrievers": {"clone_collections"},
        "clone_taxonomies": {"clone_retrievers"},
        "copy_files": {"copy_points", "clone_taxonomies"},
        "verify_clone": {"copy_files"},
        "publish_clone": {"verify_clone"},
    }


def _inputs(job: dg.JobDefinition) -> Iterator[tuple[Any, dict[str, Any]]]:
    for node in job.nodes:
        handles = job.graph.dependency_structure.input_to_upstream_outputs_for_node(node.name)
        yield node, {handle.input_name: outputs[0] for handle, outputs in handles.items()}


def test_every_op_says_what_it_does() -> None:
    for node in clone_job().nodes:
        assert (node.definition.description or "").strip(), node.name
    assert clone_job().description


def test_no_op_has_a_retry_policy() -> None:
    # In process it would turn a cancel into a retry, and the run into a success.
    assert all(node.definition.retry_policy is None for node in clone_job().nodes)


# ---- the form, the options and the request are the same --------------------------------------


def form() -> dict[str, Any]:
    mapping = clone_job().config_mapping
    assert mapping is not None
    return dict(mapping.config_schema.config_type.fields)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize("name", CloneRequest.model_fields)
def test_the_form_has_each_field_as_the_request_has_it(name: str) -> None:
    info, field = CloneRequest.model_fields[name], form()[name]
    assert field.description == info.description
    assert field.is_required == info.is_required()
    assert _type_word(info.annotation) in str(field.config_type.given_name or field.config_type.key)
    if not info.is_required() and name != "include_resources":
        assert field.default_value == info.default


def test_the_form_has_nothing_else() -> None:
    assert set(form()) == set(CloneRequest.model_fields)
    included = form()["include_resources"].config_type.fields
    assert {name: field.default_value for name, field in included.items()} == {
        name: info.default for name, info in IncludeResources.model_fields.items()
    }
    for name, field in included.items():
        assert field.description == IncludeResources.model_fields[name].description


def _type_word(annotation: Any) -> str:
    if annotation is IncludeResources:
        return "Shape"
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    if isinstance(kinds[0], str):
        return "Literal"
    return {bool: "Bool", int: "Int", str: "String"}[kinds[0]]


@pytest.mark.parametrize("command", [clone_command, plan_command], ids=lambda one: one.name)
@pytest.mark.parametrize("name", [*CloneRequest.model_fields, *IncludeResources.model_fields])
def test_the_command_line_has_each_field(name: str, command: click.Command) -> None:
    options = {parameter.name: parameter for parameter in command.params}
    if name in MINIMAL:
        assert isinstance(options[name], click.Argument)
        assert options[name].required
        return
    if name == "include_resources":
        return  # one option for each of its own fields
    model = CloneRequest if name in CloneRequest.model_fields else IncludeResources
    info, option = model.model_fields[name], options[name]
    assert isinstance(option, click.Option)
    assert option.help == info.description
    assert parsed(command, ["prod", "staging"])[name] == info.default
    if model is IncludeResources:
        assert (option.opts, option.secondary_opts) == ([flag(name)], [flag(f"no_{name}")])
        return
    assert option.opts == [flag(name)]
    word = _type_word(info.annotation)
    kind = {"Bool": "boolean", "Int": "integer", "String": "text", "Literal": "choice"}[word]
    assert option.type.name == kind
    if isinstance(option.type, click.Choice):
        assert tuple(option.type.choices) == get_args(info.annotation)


@pytest.mark.parametrize("command", [clone_command, plan_command], ids=lambda one: one.name)
def test_the_command_line_has_nothing_else(command: click.Command) -> None:
    known = {*CloneRequest.model_fields, *IncludeResources.model_fields}
    more = {parameter.name for parameter in command.params} - known
    assert more <= {"as_json", "verbose", "yes"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"taxonomies": True}, 'unexpected config entry "taxonomies" at the root'),
        ({"include_resources": {"points": True}}, 'unexpected config entry "points"'),
        ({"lane": "fast"}, "'auto', 'stream', 'native'"),
        ({"mode": "move"}, "'copy', 'branch'"),
        ({"ttl_seconds": "abc"}, 'expected type "Int"'),
        ({"adopt": "yes"}, "Bool"),
        ({"namespace_name": 7}, "String"),
        ({"namespace_name": None}, "namespace_name"),
    ],
)
def test_the_launchpad_refuses_what_has_the_wrong_type(more: dict[str, Any], words: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        dg.validate_run_config(clone_job(), MINIMAL | more)
    assert words in str(caught.value)


@pytest.mark.parametrize("config", [{"x": 1}, {"include_resources": {"x": True}}])
def test_an_unknown_key_is_answered_with_the_accepted_ones(config: dict[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        dg.validate_run_config(clone_job(), MINIMAL | config)
    model = CloneRequest if "x" in config else IncludeResources
    assert all(f"{name}" in str(caught.value) for name in model.model_fields)


def test_a_small_form_becomes_a_whole_request() -> None:
    config = dg.validate_run_config(clone_job(), MINIMAL)
    request = config["ops"]["plan_clone"]["config"]
    assert CloneRequest.model_validate(request) == CloneRequest.model_validate(MINIMAL)
