"""Policies as the tests want them, read from a file as always."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clone_pipeline.policies import Policies, read_policies


def written(folder: Path, **sections: list[dict[str, Any]]) -> Policies:
    """The policies of a file with these sections; JSON is YAML."""
    file = folder / "policies.yaml"
    file.write_text(json.dumps(sections, indent=1), encoding="utf-8")
    policies = read_policies(file)
    assert policies.problems == ()
    return policies


def backup(**more: Any) -> dict[str, Any]:
    return {"name": "nightly", "source": "prod", "cron": "0 2 * * *", **more}


def refresh(**more: Any) -> dict[str, Any]:
    at_once = {"quiet_period_seconds": 0, "minimum_interval_seconds": 0}
    return {
        "name": "follow",
        "source": "prod",
        "target": "staging",
        "on_change": at_once,
        **more,
    }
