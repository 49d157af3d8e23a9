"""Bundles whose payloads name another namespace than the one they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.bundle.owner import Owner
from clone_pipeline.core.catalog.namespace import FOREIGN_PAYLOADS
from clone_pipeline.core.ledger import clones as ledger

from ... import harness
from ...sources import source, write_bundle
from .samples import read_bundle

OWN, OTHER = "ns_own0000001", "ns_other00001"


def bundle(folder: Path, *payloads: dict[str, Any]) -> Path:
    names = {"organization_id": "org_a", "namespace_id": OWN, "namespace_name": "own"}
    points = [
        {"id": number, "vector": {"v": [1.0, 2.0]}, "payload": payload}
        for number, payload in enumerate(payloads)
    ]
    return write_bundle(folder, source(names, points=points))


@pytest.mark.parametrize(
    ("payload", "loaded"),
    [
        (
            {"_internal": {"namespace_id": OTHER, "x": 1}},
            {"_internal": {"namespace_id": OWN, "x": 1}},
        ),
        ({"namespace_id": OTHER, "a": 1}, {"namespace_id": OWN, "a": 1}),
        ({"namespace_id": "production"}, {"namespace_id": OWN}),
        (
            {"namespace_id": OTHER, "_internal": {"namespace_id": OTHER}},
            {"namespace_id": OWN, "_internal": {"namespace_id": OWN}},
        ),
    ],
)
def test_a_payload_that_names_another_namespace_is_loaded_as_the_bundles_own(
    payload: dict[str, Any], loaded: dict[str, Any]
) -> None:
    owner = Owner(OWN)
    assert owner.own(payload) == loaded
    assert owner.renamed == 1
    assert owner.own(loaded) is loaded
    assert owner.renamed == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"_internal": {"namespace_id": None}, "metadata": {"namespace_id": OTHER}},
        {"_internal": {"namespace_id": OWN}, "namespace_id": "default"},
        {"_internal": {}, "namespace_id": 7, "note": OTHER},
    ],
)
def test_what_names_no_other_namespace_is_loaded_as_it_is(payload: dict[str, Any]) -> None:
    owner = Owner(OWN)
    assert owner.own(payload) is payload
    assert (owner.renamed, owner.others) == (0, [])


def test_a_clone_of_it_holds_no_other_namespaces_id(catalog_url: str, tmp_path: Path) -> None:
    payloads = [
        {"_internal": {"namespace_id": OTHER}},
        {"namespace_id": OTHER},
        {"namespace_id": OWN},
    ]
    with harness.open_stores(tmp_path, catalog_url) as stores:
        report = harness.load_report(stores, bundle(tmp_path / "in", *payloads))
        assert report.warnings == [
            f"In the bundle 2 points named another namespace ({OTHER}) in the payload; what was "
            f"loaded names {OWN}."
        ]
        clone = harness.clone(stores, "own", "copy")
        with stores.catalog.read() as connection:
            reports = ledger.read_reports(connection, clone.clone_id)
        assert reports["verify_clone"].shown["proven"] == "full"
        points = read_bundle(harness.dump(stores, "copy", tmp_path / "out"))["points.jsonl"]
    assert OTHER not in repr(points)
    assert OWN not in repr(points)


def test_a_bundle_of_its_own_namespace_says_nothing(catalog_url: str, tmp_path: Path) -> None:
    with harness.open_stores(tmp_path, catalog_url) as stores:
        report = harness.load_report(stores, bundle(tmp_path / "in", {"namespace_id": OWN}))
    assert report.warnings == []


def test_payloads_of_an_adopted_collection_stay_as_they_are(tmp_path: Path) -> None:
    """Whoever wrote them may have a field of that name for something else."""
    payload = {"namespace_id": OTHER, "_internal": {"namespace_id": OTHER}}
    names = {"organization_id": "org_a", "namespace_id": OWN, "namespace_name": "own"}
    points = [{"id": 1, "vector": {"v": [1.0, 2.0]}, "payload": payload}]
    files = source(names | {FOREIGN_PAYLOADS: True}, points=points)
    with harness.open_stores(tmp_path / "home") as stores:
        assert harness.load_report(stores, write_bundle(tmp_path / "in", files)).warnings == []
        dumped = read_bundle(harness.dump(stores, "own", tmp_path / "out"))
    assert [one["payload"] for one in dumped["points.jsonl"]] == [payload]
