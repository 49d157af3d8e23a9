"""The archives of policies, as `list --archives` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clone_pipeline.cli.common import opened, print_json
from clone_pipeline.cli.output import print_table, say
from clone_pipeline.core.archives.records import Archive, list_archives
from clone_pipeline.core.report import size


def show_archives(*, as_json: bool) -> None:
    """Those that are there, that are being written, and that failed."""
    with opened(to_look=True) as session, session.stores.catalog.read() as connection:
        found = list_archives(
            connection, session.organization_id, "writing", "ready", "failed", "removing"
        )
    if as_json:
        print_json([one.to_json() for one in found])
        return
    print_table("Archives", [_line(one) for one in found])
    for one in found:
        if one.error:
            say(f"{one.address}: {one.error}")


def _line(one: Archive) -> dict[str, Any]:
    return {
        "address": one.address,
        "organization": one.organization_id,
        "archive of": one.source_namespace_id,
        "state": ", ".join(_states(one)),
        "written at (UTC)": f"{one.created_at:%Y-%m-%d %H:%M}",
        "points": one.points,
        "size": None if one.bytes is None else size(one.bytes),
    }


def _states(one: Archive) -> Iterator[str]:
    yield one.status
    if one.policy:
        yield f"for policy {one.policy}"
    if one.status == "ready":
        yield "proven" if one.proven else "not proven"
    if one.restore_test:
        how = "proven restorable" if one.restore_test["good"] else "RESTORE TEST FAILED"
        yield f"{how} at {one.restore_test['tested_at'][:16].replace('T', ' ')}"
