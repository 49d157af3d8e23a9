"""The sections about one clone: its plan, its steps, its proof and its seal, as plain texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clone_pipeline.core import secrets
from clone_pipeline.core.kinds import KINDS
from clone_pipeline.core.ledger.history import Detail
from clone_pipeline.core.ledger.stored import left_alone
from clone_pipeline.core.outputs import CopiedPoints, Published, Seal
from clone_pipeline.core.plan.listed import listed, outcome, whose
from clone_pipeline.core.report import STEPS, SUMMARY, StepReport
from clone_pipeline.core.request import CloneRequest
from clone_pipeline.html_report import words

# References that are listed by name; the ledger has them all.
LISTED = 100

Row = tuple[str, str]

_OUTCOMES = {
    "rewritten": "point at the clone now",
    "kept": "stay as they are, on purpose",
    "cleared": "were taken out, and are parked for a restore",
    "unresolved": "point at something that is not there",
    "mentioned": "ids in free text, never rewritten",
    "unlisted": "ids at places that nobody knows, left as they are",
}
# What stands elsewhere on the page, or in its name.
_NO_OPTIONS = {"namespace_identifier", "namespace_name", "include_resources", "verify", "lane"}


def plan(detail: Detail) -> list[Row]:
    planned, request = detail.clone.plan, detail.clone.request
    source, target = planned["source"], planned["target"]
    replaces = target["replaces_generation"]
    included = [name for name, wanted in planned["include_resources"].items() if wanted]
    points = f"{planned['transport']}, slices: {planned['slices']:,}"
    rows = [
        ("Source", _who(source)),
        ("Clone", _who(target)),
        ("Replaces", "" if replaces is None else f"generation {replaces}"),
        ("Includes", ", ".join(["buckets, objects", *included])),
        ("Ids", "the source's" if request["preserve_resource_ids"] else "new ones"),
        ("Lane", f"{planned['lane']}: {planned['lane_reason']}"),
        ("Points", points if planned["transport"] else ""),
        ("Policy", detail.clone.policy or ""),
        ("Run", detail.clone.run_id or ""),
    ]
    return [row for row in rows if row[1]]


def _who(party: Mapping[str, Any]) -> str:
    return f"{party['namespace_name']} ({party['namespace_id']}, {party['organization_id']})"


def options(request: Mapping[str, Any]) -> list[Row]:
    """Of the request, what is not as it would be anyhow."""
    shown = secrets.without(dict(request))
    return [
        (name, str(shown[name]).lower() if isinstance(shown[name], bool) else str(shown[name]))
        for name, info in CloneRequest.model_fields.items()
        if name in shown and name not in _NO_OPTIONS and shown[name] != info.default
    ]


def counts(detail: Detail) -> list[dict[str, str]]:
    planned = detail.clone.plan["counts"]
    report = detail.reports.get("publish_clone")
    output = report.output if report is not None else None
    cloned = output.response["cloned_resources"] if isinstance(output, Published) else {}
    return [
        {
            "kind": name,
            "planned": words.number(planned.get(name)),
            "cloned": words.number(cloned.get(name)),
        }
        for name in SUMMARY
        if planned.get(name) is not None or cloned.get(name)
    ]


def references(plan: Mapping[str, Any]) -> dict[str, Any]:
    found = listed(one for one in plan["references"] if outcome(one) != "kept")
    return {
        "counts": [
            {"outcome": name, "count": f"{count:,}", "means": _OUTCOMES.get(name, "")}
            for name, count in plan["reference_counts"].items()
        ],
        "listed": [
            {
                "outcome": outcome(one),
                "where": whose(one),
                "path": one["path"],
                "old": _old(one),
                "reason": one["reason"],
            }
            for one in found.first(LISTED)
        ],
        "left_out": found.left_out(LISTED),
    }


def _old(reference: Mapping[str, Any]) -> str:
    """What stood there, as documents with that key are shown."""
    key = str(reference["path"]).rpartition(".")[2]
    shown = secrets.without({key: reference["old"]}).get(key)
    return "" if shown is None else str(shown)


def warnings(reports: Mapping[str, StepReport]) -> list[str]:
    """The last step repeats those of the others."""
    said = [one for step in STEPS for one in (reports[step].warnings if step in reports else [])]
    return list(dict.fromkeys(said))


def steps(reports: Mapping[str, StepReport]) -> list[dict[str, Any]]:
    done = [reports[step] for step in STEPS if step in reports]
    longest = max((one.seconds for one in done), default=0.0)
    return [
        {
            "step": one.step,
            "status": one.status,
            "created": words.number(one.created or None),
            "size": words.size(one.bytes or None),
            "took": words.duration(one.seconds),
            "share": round(100 * one.seconds / longest) if longest else 0,
        }
        for one in done
    ]


def proof(detail: Detail) -> list[Row]:
    verified = detail.reports.get("verify_clone")
    details = verified.details if verified else {}
    report = detail.reports.get("copy_points")
    output = report.output if report is not None else None
    copied = output if isinstance(output, CopiedPoints) else CopiedPoints(None)
    consistency = copied.consistency
    test = detail.clone.restore_test
    before = "generation" if detail.clone.backup_policy is None else "backup"
    rows = [
        ("Compared", _compared(detail) if verified else "not yet"),
        ("Equal means", str(details.get("equality") or detail.clone.plan["equality"])),
        ("Differences", _differences(details)),
        ("Source ids left", words.number(details.get("source_ids_left"))),
        (f"Points since the {before} before", _changes(copied.changes)),
        ("Published", _not_published(detail)),
        ("Source meanwhile", consistency["outcome"] if consistency else ""),
        ("S3 files", str(details.get("files", ""))),
        ("Restore test", f"{test['sentence']} ({test['tested_at'][:16]})" if test else ""),
    ]
    return [row for row in rows if row[1]]


def _not_published(detail: Detail) -> str:
    report = detail.reports.get(Published.STEP)
    if report is None or not (published := Published.of(report)).unchanged:
        return ""
    return f"nothing: {published.why_nothing()}"


def _changes(changes: dict[str, int] | None) -> str:
    if changes is None:
        return ""
    return ", ".join(f"{words.number(count)} {what}" for what, count in changes.items())


def _compared(detail: Detail) -> str:
    how = {
        "full": "every record and every point with what was read from the source",
        "sample": "every record, and a sample of the points",
        "counts": "every record; the points were counted",
    }
    verify = str(detail.clone.request["verify"])
    if left_alone(detail.clone.plan) is not None:
        return "every record; the points were left alone"
    return how.get(verify, verify)


def _differences(details: Mapping[str, Any]) -> str:
    if "differences" not in details:
        return ""
    found, repaired = details["differences"], details.get("repaired") or 0
    return f"{found:,}" + (f", {repaired:,} put right by copying again" if repaired else "")


def seal(sealed: Seal | None) -> list[dict[str, str]]:
    """The digests of what was published."""
    if sealed is None:
        return []
    plurals = {kind.name: kind.plural for kind in KINDS} | {"object": "objects"}
    rows = []
    records: Mapping[str, Any] = sealed["records"]
    for kind, found in records.items():
        whole = found if isinstance(found, dict) else {"digest": found, "count": None}
        count = words.number(whole["count"])
        rows.append(_digest(plurals.get(kind, kind), count, whole["digest"]))
    slices = sealed["points"]["slices"] or []
    said = slices[0] if slices else "counted only"
    more = f" and of {len(slices) - 1:,} more slices" if slices[1:] else ""
    rows.append(_digest("points", words.number(sealed["points"]["count"]), f"{said}{more}"))
    rows.append(_digest("vectors' configuration", "", sealed["qdrant_config"]))
    return rows


def _digest(what: str, count: str, digest: str) -> dict[str, str]:
    return {"what": what, "count": count, "digest": digest}
