"""A new resource type takes its own module, its rows and its table; the rest comes by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import String

from clone_pipeline.api.models import Counts
from clone_pipeline.api.routes.resources import router
from clone_pipeline.core.catalog.schema import clone_resources, clone_steps, metadata
from clone_pipeline.core.kinds import KINDS, ResourceKind
from clone_pipeline.core.references.table import CONFIGURATION
from clone_pipeline.core.report import SUMMARY
from clone_pipeline.core.request import IncludeResources

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.mark.outside
def test_an_invented_kind_is_cloned_proven_and_compared(tmp_path: Path) -> None:
    """In a process of its own, where `dashboards.py` is known before the product is imported."""
    package = ".".join(HERE.relative_to(ROOT).parts)
    plugin = ["-n0", "-p", f"{package}.dashboards", "-p", "no:cacheprovider"]
    tests = [str(HERE / "with_dashboards.py"), f"--basetemp={tmp_path / 'child'}"]
    child = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *tests],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stdout + child.stderr
    assert "skipped" not in child.stdout.lower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_a_kind_fits_where_its_names_are_kept(kind: ResourceKind) -> None:
    for column, text in ((clone_resources.c.kind, kind.name), (clone_steps.c.step, kind.step)):
        assert isinstance(column.type, String)
        assert len(text) <= (column.type.length or 0)
    columns = set(metadata.tables[kind.plural].c.keys())
    assert columns == {
        *("namespace_key", "document", "created_at", "updated_at"),
        *kind.columns,
    }


def test_a_kind_comes_after_one_that_stands_before_it() -> None:
    for position, kind in enumerate(KINDS):
        assert kind.after in {"namespace", *(before.plural for before in KINDS[:position])}


def test_every_kind_has_its_rows_in_the_table_of_references() -> None:
    assert set(CONFIGURATION) == {"namespace", "stage", *(kind.name for kind in KINDS)}


def test_the_contract_spells_out_the_same_kinds() -> None:
    """What Mixpeek's own contract names is spelled out beside the table."""
    switches = [kind.switch for kind in KINDS if kind.switch is not None]
    assert switches == list(IncludeResources.model_fields)
    assert list(SUMMARY) == list(Counts.model_fields)
    listed = {path.removesuffix("/list") for route in router.routes if (path := route.path)}
    assert {f"/v1/{kind.plural}" for kind in KINDS} <= listed
