"""The step `verify_clone`: everything that was written, compared before it is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, update

from ..catalog import namespaces as catalog
from ..catalog.documents import read_object
from ..catalog.schema import clones
from ..difference import Differences, differing_fields
from ..errors import VerificationFailed
from ..files.step import prove_files
from ..kinds import KINDS
from ..ledger import clones as ledger
from ..ledger.stored import left_alone
from ..ledger.work import Work
from ..ledger.worked import told
from ..objects.location import locations
from ..objects.s3 import ObjectCheck
from ..outputs import Consistency, CopiedObjects, CopiedPoints, Proof, Seal, SourceRead
from ..points.progress import Progress
from ..points.sides import Sides
from ..points.step import opened_to_help, read_natively_copied, retry_of, sides
from ..points.stream import read_progress, read_slices, slice_of
from ..records.objects import read_target
from ..references import Places
from ..refresh.marks import mark
from ..refresh.quiet import Disturbed, as_read, is_quiet
from ..report import StepReport
from ..source import read_config
from ..text import keepable
from ..vectors.digest import Digest, canonical
from ..vectors.equality import EqualityRule
from ..vectors.point import CollectionConfig
from ..vectors.port import VectorStore
from ..vectors.slices import shard_keys
from . import points as check_points
from . import records
from .drift import SourceNow, WasRead, find_drift
from .unchanged import is_unchanged

# `verify_objects: sample` asks for the files of this many objects.
SAMPLED_OBJECTS = 1000
# How many places of ids a warning names, those first at which there are most; and how much of each.
_PLACES, _LONGEST_PATH = 3, 80


@dataclass
class _Findings:
    """`found` was repaired or not; `left` is what no repair has put right: it fails the clone."""

    found: Differences = field(default_factory=Differences)
    left: Differences = field(default_factory=Differences)
    repaired: int = 0


def verify_clone(work: Work) -> StepReport:
    """Proves that the target is what was read, rewritten; repairs once what is not.

    Raises VerificationFailed naming resource and field, StoreUnavailable, LeaseLost; Disturbed
    where points were left alone that have to be read.
    """
    with work.lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(phase="verifying", points_proven=0, updated_at=work.stores.clock())
        )
    reports = _reports(work)
    findings = _Findings()
    expected_objects = Digest.from_json(CopiedObjects.among(reports).objects_digest)
    _check_records(work, expected_objects, findings)
    unlisted = records.source_ids_left(work, findings.left)
    points, equality, source_now = _check_vectors(work, reports["copy_points"], findings)
    if work.request.verify == "full":
        unlisted.merge(points.unlisted)
    files = _check_files(work)
    copies = prove_files(work, findings.found, findings.left)
    findings.repaired += copies.damaged if copies else 0
    if findings.left:
        raise VerificationFailed(
            f"The clone differs from its source in {findings.left.places()}, also after a "
            f"repair: {findings.left.sentence()}.",
            differences=findings.left.to_json(),
        )
    with work.reading() as snapshots:
        namespace = catalog.by_key(snapshots.own, work.clone.namespace_key)
        sealed = records.read_records(snapshots.own, namespace)
        read = WasRead(expected_objects, work.clone.plan["qdrant_config"])
        drift = find_drift(snapshots, work, read, source_now)
    work.refuse_gone()
    unchanged = is_unchanged(work, sealed) if not findings.found else False
    if work.leaves_alone and not unchanged:
        raise Disturbed
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="verify_clone",
        output=Proof(
            proven=work.request.verify,
            counted=sealed.counts | {"points": points.count},
            seal=_seal(sealed, points, work.clone.plan["qdrant_config"]),
            last_write=points.last_write,
            unchanged=unchanged,
            source=source_now.read,
        ),
        details={
            "equality": equality.sentence,
            "points_compared": points.compared,
            "differences": findings.found.count,
            "differences_first": findings.found.to_json(),
            "repaired": findings.repaired,
            "workers": told(points.worked),
            "source_ids_left": 0,
            "unlisted": unlisted.to_json(),
            "drift": drift,
            **_files_details(work, files),
            **(copies.details() if copies else {}),
        },
        warnings=[*source_now.warnings, *_unlisted_warnings(unlisted), *_file_warnings(files)],
    )
    with work.lease.write() as connection:
        # What a repair has put right was copied all the same: the steps' counts stay the sum.
        for step, counts in _recounted(reports, sealed.counts, points.count):
            recounted = replace(reports[step], counts=counts)
            ledger.store_report(connection, recounted, work.stores.clock())
        return work.store(connection, report)


def help_proving(work: Work) -> None:
    """What a process beside the run's does of it: slice after slice, until there is none for it.

    Raises what `verify_clone` does, but for VerificationFailed.
    """
    with opened_to_help(work) as both:
        check_points.prove_slices(work, both)


def _reports(work: Work) -> dict[str, StepReport]:
    with work.stores.catalog.read() as connection:
        return ledger.read_reports(connection, work.clone.clone_id)


def _check_records(work: Work, objects_digest: Digest, findings: _Findings) -> None:
    for kind in KINDS:
        found = records.check_small(work, kind, repair=True)
        if found:
            findings.left.extend(records.check_small(work, kind, repair=False))
        findings.found.extend(found)
        findings.repaired += found.count
    found, now = records.check_objects(work, objects_digest, repair=True)
    if found:
        findings.left.extend(records.check_objects(work, now, repair=False)[0])
    findings.found.extend(found)
    findings.repaired += found.count
    _check_namespace(work, findings)


def _check_namespace(work: Work, findings: _Findings) -> None:
    expected = work.planned_namespace()
    with work.stores.catalog.read() as connection:
        actual = catalog.by_key(connection, work.clone.namespace_key)
    fields = list(differing_fields(expected["document"], actual.document))
    fields += [] if actual.name == expected["name"] else ["namespace_name differs"]
    findings.left.add("namespace", expected["target_id"], *fields)


def _check_vectors(
    work: Work, copied_report: StepReport, findings: _Findings
) -> tuple[check_points.PointsFound, EqualityRule, SourceNow]:
    """What was found, the rule it was found by, and what the source's collection is like now."""
    retry = retry_of(work)
    with work.stores.vectors() as target, work.source_vectors(target) as source:
        both = sides(work, source, target, retry)
        if not work.leaves_alone:
            _check_config(work, both, findings)
        consistency, warnings = _consistency(copied_report), list[str]()
        if work.is_native and work.request.verify != "counts":
            consistency, warnings = read_natively_copied(work, both)
        copied = read_progress(work)
        if work.is_native and work.request.verify == "counts":
            copied.digest.count = copied_report.counts["points"]
        result = _check_points(work, both, copied)
        mark_read = consistency and consistency["mark"]
        mark_now = retry(lambda: mark(source, work.source_collection))
        _refuse_disturbed(work, source, target, mark_now)
        now = SourceNow(
            config=work.rewriter.rewrite_qdrant_config(
                read_config(source, work.source, work.source_collection)
            ),
            mark=mark_now,
            points=result.source_count,
            points_read=copied.digest.count,
            mark_read=mark_read,
            warnings=warnings,
            read=_source_read(work, source, target, mark_now) if mark_now == mark_read else None,
        )
    if result.repaired and result.seal is not None and both.target.embedded:
        # The embedded store reads differently in the session that wrote: seal a fresh one.
        with work.stores.vectors() as target:
            result.seal = check_points.digest_all(
                target,
                work.clone.qdrant_collection,
                [slice_of(row) for row in read_slices(work)],
                retry_of(work),
            )
        result.count = sum(digest.count for digest in result.seal)
    findings.repaired += result.repaired
    findings.found.extend(result.found)
    findings.left.extend(result.left)
    return result, both.rule, now


def _refuse_disturbed(work: Work, source: VectorStore, target: VectorStore, mark: str) -> None:
    """Raises Disturbed where the source was written to since its points were left alone."""
    read, name = left_alone(work.clone.plan), work.source_collection
    if read and not is_quiet(source, target, name, mark, read, work.stores.clock()):
        raise Disturbed


def _source_read(
    work: Work, source: VectorStore, target: VectorStore, mark: str
) -> SourceRead | None:
    """What the next refresh asks of: whether the source is as it was read for this one."""
    if known := left_alone(work.clone.plan):
        return known
    if work.request.verify != "full":
        return None
    name, segments = work.source_collection, work.clone.plan["source_segments"]
    return as_read(source, target, name, mark, segments, work.stores.clock())


def _consistency(copied: StepReport) -> Consistency | None:
    """None where the copy has not read the source."""
    return copied.output.consistency if isinstance(copied.output, CopiedPoints) else None


def _check_points(work: Work, both: Sides, copied: Progress) -> check_points.PointsFound:
    if work.leaves_alone:
        return check_points.check_left_alone(work, both)
    if not work.request.include_resources.collections or work.request.verify == "counts":
        return check_points.check_count(both, copied)
    # No sample was put aside by a copy that was begun with another proof in mind.
    if work.request.verify == "sample" and (copied.sample or not copied.digest.count):
        return check_points.check_sample(work, both, copied)
    return check_points.check_full(work, both)


def _check_config(work: Work, both: Sides, findings: _Findings) -> None:
    """The Qdrant collection's configuration and payload schema: the store's word, the catalog's.

    A payload index or a shard key that is gone is made again; a shard key too many is taken away.
    """
    name, target = both.target_name, both.target
    asked = work.clone.plan["qdrant_config"]
    kept = target.kept_config(asked)
    there = target.read_config(name)
    wanted, indexes = kept["payload_schema"], there["payload_schema"]
    gone = [path for path in wanted if path not in indexes]
    repaired = findings.repaired
    for path in gone:
        findings.found.add("qdrant config", name, f"payload_schema.{path} is missing")
        work.lease.check()
        both.retry(partial(target.create_index, name, path, wanted[path]))
        findings.repaired += 1
    if shard_keys(kept) != shard_keys(there):
        findings.found.add("qdrant config", name, "shard_keys differs")
        work.lease.check()
        both.retry(partial(target.set_shard_keys, name, kept.get("shard_keys", ())))
        findings.repaired += 1
    if findings.repaired > repaired:
        there = target.read_config(name)
    findings.left.add("qdrant config", name, *differing_fields(kept, there))
    with work.stores.catalog.read() as connection:
        namespace = catalog.by_key(connection, work.clone.namespace_key)
    fields = differing_fields(asked, namespace.qdrant_config)
    findings.left.add("qdrant config", f"{name} in the catalog", *fields)


def _check_files(work: Work) -> ObjectCheck | None:
    if work.request.verify_objects == "none":
        return None
    sampled = work.request.verify_objects == "sample"
    store = work.stores.objects()
    try:
        with work.stores.catalog.read() as connection:
            return store.check(_files(connection, work, SAMPLED_OBJECTS if sampled else None))
    finally:
        store.close()


def _files(connection: Connection, work: Work, limit: int | None) -> Iterator[tuple[str, str]]:
    for index, (object_id, _, text) in enumerate(read_target(connection, work.clone.namespace_key)):
        if limit is not None and index >= limit:
            return
        for location in locations(read_object(object_id, text)):
            yield object_id, location


def _unlisted_warnings(unlisted: Places) -> list[str]:
    """Of records only: what stands in the configuration, the plan has told."""
    count = unlisted.of("object", "payload")
    if not count:
        return []
    ids, stand = ("id", "stands") if count == 1 else ("ids", "stand")
    places = [
        f"{place['resource']} {_short(place['path'])} ({place['count']:,})"
        for place in unlisted.to_json()["places"]
        if place["resource"] in ("object", "payload")
    ]
    more = "" if len(places) <= _PLACES else "; the run's page has more under `unlisted`"
    return [
        f"{count:,} {ids} of the source {stand} in objects or payloads where no reference is "
        f"known, and stayed: {', '.join(places[:_PLACES])}{more}."
    ]


def _short(path: str) -> str:
    """Keys of payloads may be of any length, and of any characters."""
    return keepable(path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}...")


def _files_details(work: Work, files: ObjectCheck | None) -> dict[str, Any]:
    if files is None:
        return {"files": "not checked (verify_objects: none)"}
    return {
        "files": work.request.verify_objects,
        "files_checked": files.checked,
        "files_missing": files.missing_count,
        "files_missing_first": [
            {"object_id": who, "location": where} for who, where in files.missing
        ],
        "files_unreadable": files.unreadable_count,
        "files_elsewhere": files.elsewhere,
        "files_bytes": files.bytes,
    }


def _file_warnings(files: ObjectCheck | None) -> list[str]:
    if files is None:
        return []
    found = []
    if files.missing_count:
        first = ", ".join(where for _, where in files.missing[:3])
        found.append(f"{files.missing_count} of {files.checked} S3 files do not exist: {first}.")
    if files.unreadable_count:
        found.append(
            f"{files.unreadable_count} of {files.checked} S3 files could not be looked at (access "
            "denied)."
        )
    return found


def _seal(
    sealed: records.Records, points: check_points.PointsFound, config: CollectionConfig
) -> Seal:
    return {
        "records": sealed.digests,
        "points": {
            "count": points.count,
            "slices": None if points.seal is None else [one.hexdigest() for one in points.seal],
        },
        "qdrant_config": config_digest(config),
    }


def config_digest(config: CollectionConfig | None) -> str:
    return blake2b(canonical(config), digest_size=16).hexdigest()


def _recounted(
    reports: dict[str, StepReport], counted: dict[str, int], points: int
) -> Iterator[tuple[str, dict[str, int]]]:
    for step, report in reports.items():
        counts = {name: (counted | {"points": points})[name] for name in report.counts}
        if counts != report.counts:
            yield step, counts
