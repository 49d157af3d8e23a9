"""Run config is what is written there: nobody who launches reads the environment of the run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.launch import clone_job
from clone_pipeline_tests import forks
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import holding
from clone_pipeline_tests.policies.files import backup

ROOT = Path(__file__).parents[2]
MINIMAL = {"namespace_identifier": "prod", "namespace_name": "staging"}
FROM_ENVIRONMENT = {"env": "CATALOG_URL"}


@pytest.mark.parametrize(
    "more",
    [
        {"namespace_identifier": FROM_ENVIRONMENT},
        {"description": FROM_ENVIRONMENT},
        {"ttl_seconds": FROM_ENVIRONMENT},
        {"adopt": FROM_ENVIRONMENT},
        {"lane": FROM_ENVIRONMENT},
        {"include_resources": {"taxonomies": FROM_ENVIRONMENT}},
        {"include_resources": FROM_ENVIRONMENT},
        FROM_ENVIRONMENT,
    ],
)
def test_a_value_from_the_environment_is_refused_and_not_read(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_URL", "postgresql://user:hidden@nowhere/db")
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        dg.validate_run_config(clone_job(), MINIMAL | more)
    assert "hidden" not in str(caught.value)


_TYPES = """
from clone_pipeline.definitions import defs

def within(kind):
    yield kind.key
    inner = [field.config_type for field in getattr(kind, "fields", {}).values()]
    parts = ("inner_type", "scalar_type", "non_scalar_type")
    for one in [*inner, *(getattr(kind, part) for part in parts if hasattr(kind, part))]:
        yield from within(one)

repository = defs.get_repository_def()
names = [*repository.get_implicit_asset_job_names(), *repository.job_names]
for name in names:
    print(name, *set(within(repository.get_job(name).run_config_schema.config_type)))
"""


@pytest.mark.outside
def test_no_job_takes_values_from_the_environment(tmp_path: Path) -> None:
    """Neither ours, nor the one that Dagster makes for the assets' checks."""
    home, file = tmp_path / "home", tmp_path / "policies.yaml"
    home.mkdir()
    with holding(home, sample()):
        pass
    file.write_text(json.dumps({"backups": [backup()]}))
    env = {**os.environ, "CLONE_PIPELINE_HOME": str(home), "CLONE_POLICIES": str(file)}
    done = forks.server().run(_TYPES, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    jobs = dict(_jobs(done.stdout))
    assert {"__ASSET_JOB", "check_clones", "clone_namespace", "sweep_namespaces"} <= set(jobs)
    for name, types in jobs.items():
        assert types, name
        assert not [one for one in types if "Source" in one], name


def _jobs(printed: str) -> Iterator[tuple[str, list[str]]]:
    for line in printed.splitlines():
        name, *types = line.split()
        yield name, types
