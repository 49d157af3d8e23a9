"""What stands on the page of a policy that writes archives, as plain texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from clone_pipeline.core.archives.history import ArchiveHistory, Fate
from clone_pipeline.core.archives.records import Archive
from clone_pipeline.core.kinds import KINDS
from clone_pipeline.html_report import words
from clone_pipeline.html_report.over_time import Moment, Plot, over_time
from clone_pipeline.html_report.safe import clean

Row = tuple[str, str]

# By its status: the word, and the tone of the page.
_OUTCOMES = {
    "writing": ("in progress", "open"),
    "ready": ("proven", "good"),
    "failed": ("failed", "bad"),
    "removing": ("proven, going", "good"),
    "removed": ("proven, gone", "good"),
}
_CONSISTENT = {
    True: "quiet: nothing was written to the points while they were dumped",
    False: "moving: the archive has each point as it was when it was read",
    None: "the Qdrant store cannot tell whether points were written meanwhile",
}


def page(history: ArchiveHistory, now: datetime) -> dict[str, Any]:
    """All values of the template: texts without secrets, drawings and numbers."""
    shown = history.shown
    values = {
        "kind": "Backup policy that writes archives",
        "name": history.policy,
        "organization": history.organization_id,
        "made_at": words.minute(now),
        "state": _state(history.newest),
        "sentence": _sentence(history),
        "facts": _facts(history),
        "shown": shown.name,
        "proof": _proof(shown),
        "seal": _seal(shown),
        "retention": _retention(history),
        "runs": [_run(one, history.fates.get(one.key)) for one in reversed(history.made)],
        "left_out": history.count - len(history.made),
    }
    return {**clean(values), "plots": _plots(history.made)}


# ---- the head --------------------------------------------------------------------------------


def _state(newest: Archive) -> dict[str, str]:
    word, tone = _outcome(newest)
    if newest.restore_test is not None and not newest.restore_test["good"]:
        word, tone = "restore test failed", "bad"
    return {"word": word.partition(",")[0].capitalize(), "tone": tone}


def _outcome(one: Archive) -> tuple[str, str]:
    word, tone = _OUTCOMES[one.status]
    # One that was cut off has gone as well.
    return (word, tone) if one.proven or tone != "good" else ("failed, gone", "bad")


def _sentence(history: ArchiveHistory) -> str:
    newest, shown = history.newest, history.shown
    begun = f"{newest.name}, begun at {words.minute(newest.created_at)},"
    if newest.proven:
        return f"{begun} was read back whole, and is what was read from its source."
    if newest.status == "writing":
        return f"{begun} is being written."
    said = f"{begun} failed: {newest.error or 'nobody has said why'}"
    if shown.key == newest.key:
        return said
    return f"{said} The last good one is {shown.name}, of {words.minute(shown.created_at)}."


def _facts(history: ArchiveHistory) -> list[dict[str, str]]:
    shown, proven = history.shown, [one for one in history.made if one.proven]
    tests = [one.restore_test for one in history.made if one.restore_test]
    facts = [
        ("Points", words.number(shown.points), ""),
        ("Objects", words.number(shown.objects), ""),
        ("Size", words.size(shown.bytes), "compressed"),
        ("Took", words.duration(shown.seconds), "with reading it back"),
        ("Last success", *words.day_and_time(proven[-1].finished_at if proven else None)),
        ("Archives", f"{history.there:,}", f"there, of {history.count:,} that were begun"),
    ]
    if tests:
        newest = max(tests, key=lambda test: datetime.fromisoformat(test["tested_at"]))
        day, _ = words.day_and_time(datetime.fromisoformat(newest["tested_at"]))
        facts.append(("Restore test", "good" if newest["good"] else "failed", day))
    return words.facts(facts)


# ---- the archive that is shown ---------------------------------------------------------------


def _proof(shown: Archive) -> list[Row]:
    test, contents = shown.restore_test, shown.contents or {}
    read_back = "every part was read back, and compared with its checksum and with the seal"
    secrets = contents.get("secrets")
    rows = [
        ("Archive", shown.address),
        ("Source", f"{shown.source_namespace_id}, {shown.organization_id}"),
        ("Proven", read_back if shown.proven else "not yet"),
        ("Source meanwhile", _CONSISTENT[shown.consistent] if shown.proven else ""),
        ("Restore test", f"{test['sentence']} ({_tested_at(test)})" if test else "none yet"),
        ("Parts", words.number(contents.get("parts"))),
        ("Secrets in it", _readable(secrets) if secrets is not None else ""),
        ("Cleared values in it", words.number(contents.get("cleared"))),
        ("Manifest", f"SHA-256 {shown.manifest}" if shown.manifest else ""),
        ("Run", shown.run_id),
    ]
    return [row for row in rows if row[1]]


def _tested_at(test: dict[str, Any]) -> str:
    return words.minute(datetime.fromisoformat(test["tested_at"]))


def _readable(secrets: int) -> str:
    return f"{secrets:,} in its configuration, for whoever can read the archive" if secrets else "0"


def _seal(shown: Archive) -> list[dict[str, str]]:
    """The digests of what was read from the stores, before it was written."""
    if shown.contents is None:
        return []
    plurals = {kind.name: kind.plural for kind in KINDS} | {"object": "objects"}
    seal = shown.contents["seal"]
    sealed = {plurals.get(kind, kind): one for kind, one in seal["records"].items()}
    return [
        {"what": what, "count": words.number(one["count"]), "digest": one["digest"]}
        for what, one in (sealed | {"points": seal["points"]}).items()
    ]


# ---- over time -------------------------------------------------------------------------------


def _retention(history: ArchiveHistory) -> str:
    never = "The last proven one is never removed."
    if history.keep is None:
        return f"The policies file does not have this policy, so that all of them stay. {never}"
    counts = ", ".join(f"{rule} {count:,}" for rule, count in asdict(history.keep).items() if count)
    return f"Kept: {counts or 'all of them, because the policy has no `keep`'}. {never}"


def _plots(made: list[Archive]) -> list[Plot]:
    of: list[tuple[str, Callable[[Archive], float | None], Callable[[Any], str]]] = [
        ("Duration", lambda one: one.seconds, words.duration),
        ("Points", lambda one: one.points, words.number),
        ("Objects", lambda one: one.objects, words.number),
        ("Size", lambda one: one.bytes, words.size),
    ]
    return [
        over_time(title, [_moment(one, value) for one in made], shown) for title, value, shown in of
    ]


def _moment(one: Archive, value: Callable[[Archive], float | None]) -> Moment:
    word, tone = _outcome(one)
    return Moment(one.name, one.created_at, value(one) if one.proven else None, tone, word)


def _run(one: Archive, fate: Fate | None) -> dict[str, str]:
    word, tone = _outcome(one)
    test = one.restore_test
    tested = f"{'good' if test['good'] else 'FAILED'}, {test['tested_at'][:10]}" if test else ""
    return {
        "name": one.name,
        "begun_at": words.minute(one.created_at).removesuffix(" UTC"),
        "outcome": word,
        "tone": tone,
        "tested": tested,
        "points": words.number(one.points),
        "size": words.size(one.bytes),
        "took": words.duration(one.seconds),
        "fate": "" if fate is None else fate.why if fate.stays else f"goes: {fate.why}",
        "error": one.error or "" if not one.proven else "",
    }
