"""What stands on the page of a clone or of a policy that makes clones, as plain texts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from clone_pipeline.core.ledger.history import History, Made
from clone_pipeline.html_report import sections, words
from clone_pipeline.html_report.over_time import Moment, Plot, over_time
from clone_pipeline.html_report.safe import clean


def page(history: History, now: datetime) -> dict[str, Any]:
    """All values of the template: texts without secrets, drawings and numbers."""
    detail, newest = history.shown, history.newest
    values = {
        "kind": _kind(history),
        "name": history.policy or history.name,
        "organization": history.organization_id,
        "made_at": words.minute(now),
        "state": _state(newest),
        "sentence": _sentence(history),
        "facts": _facts(history),
        "shown": _shown(history),
        "plan": sections.plan(detail),
        "options": sections.options(detail.clone.request),
        "counts": sections.counts(detail),
        "references": sections.references(detail.clone.plan),
        "proof": sections.proof(detail),
        "seal": sections.seal(detail.clone.seal),
        "warnings": sections.warnings(detail.reports),
        "steps": sections.steps(detail.reports),
        "runs": [_run(one) for one in reversed(history.made)],
        "left_out": history.count - len(history.made),
    }
    return {**clean(values), "plots": _plots(history.made)}


# ---- the head --------------------------------------------------------------------------------


def _kind(history: History) -> str:
    if history.policy is None:
        return "Clone"
    purpose = history.shown.clone.purpose
    return {"backup": "Backup policy", "refresh": "Refresh policy"}.get(purpose or "", "Policy")


def _state(newest: Made) -> dict[str, str]:
    word, tone = {
        None: ("In progress", "open"),
        "failed": ("Failed", "bad"),
        "not proven": ("Not proven", "bad"),
        "published": ("Proven", "good"),
    }[newest.outcome]
    if newest.outcome == "published" and newest.proven != "full":
        word, tone = "Published, not proven in full", "open"
    if newest.restore_test is not None and not newest.restore_test["good"]:
        word, tone = "Restore test failed", "bad"
    return {"word": word, "tone": tone}


def _sentence(history: History) -> str:
    newest, shown = history.newest, history.shown.clone
    begun = f"{newest.name}, begun at {words.minute(newest.begun_at)},"
    if newest.outcome == "published":
        compared = {"full": "every record and every point was compared with the source"}
        how = compared.get(newest.proven or "", f"proven by {newest.proven} only")
        if newest.quiet_since is not None:
            how += f" at {words.minute(newest.quiet_since)}, and nobody had written to either since"
        return f"{begun} is published: {how}."
    if newest.outcome is None:
        return f"{begun} is being made."
    what = "failed" if newest.outcome == "failed" else "could not be proven equal to its source"
    said = f"{begun} {what}: {newest.error or 'nobody has said why'}"
    if shown.clone_id == newest.clone_id:
        return said
    return (
        f"{said} The last good one is {shown.namespace_name}, of {words.minute(shown.created_at)}."
    )


def _facts(history: History) -> list[dict[str, str]]:
    shown = next(one for one in history.made if one.clone_id == history.shown.clone.clone_id)
    test = next((one.restore_test for one in reversed(history.made) if one.restore_test), None)
    good = [one for one in history.made if one.outcome == "published"]
    facts = [
        ("Points", words.number(shown.points), ""),
        ("Objects", words.number(shown.objects), ""),
        ("Size", words.size(shown.bytes), "records and points, about"),
        ("Took", words.duration(shown.seconds), ""),
        ("Last success", *words.day_and_time(good[-1].finished_at if good else None)),
        ("Runs", f"{history.count:,}", f"{len(good):,} of {len(history.made):,} succeeded"),
    ]
    if test is not None:
        how = "good" if test["good"] else "failed"
        day, _ = words.day_and_time(datetime.fromisoformat(test["tested_at"]))
        facts.append(("Restore test", how, day))
    return words.facts(facts)


def _shown(history: History) -> dict[str, str]:
    clone = history.shown.clone
    return {"name": clone.namespace_name, "begun_at": words.minute(clone.created_at)}


# ---- over generations ------------------------------------------------------------------------


def _plots(made: list[Made]) -> list[Plot]:
    of: list[tuple[str, Callable[[Made], float | None], Callable[[Any], str]]] = [
        ("Duration", lambda one: one.seconds, words.duration),
        ("Points", lambda one: one.points, words.number),
        ("Size", lambda one: one.bytes, words.size),
    ]
    return [
        over_time(title, [_moment(one, value) for one in made], shown) for title, value, shown in of
    ]


def _moment(one: Made, value: Callable[[Made], float | None]) -> Moment:
    number = value(one) if one.outcome == "published" else None
    return Moment(one.name, one.begun_at, number, _tone(one), one.outcome or "in progress")


def _run(one: Made) -> dict[str, str]:
    outcome = {"published": "published", None: "in progress"}.get(one.outcome, one.outcome)
    gone = one.outcome == "published" and one.status == "discarded"
    proven = [{"full": "in full", None: ""}.get(one.proven, str(one.proven))]
    if one.quiet_since is not None:
        proven.append(f"at {words.minute(one.quiet_since)}")
    if one.restore_test is not None:
        proven.append("restorable" if one.restore_test["good"] else "not restorable")
    return {
        "name": one.name,
        "begun_at": words.minute(one.begun_at).removesuffix(" UTC"),
        "outcome": f"{outcome}, gone" if gone else str(outcome),
        "tone": _tone(one),
        "proven": ", ".join(filter(None, proven)),
        "points": words.number(one.points),
        "size": words.size(one.bytes),
        "took": words.duration(one.seconds),
        "error": one.error or "" if one.outcome in ("failed", "not proven") else "",
    }


def _tone(one: Made) -> str:
    return {"published": "good", None: "open"}.get(one.outcome, "bad")
