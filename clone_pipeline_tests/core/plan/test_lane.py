"""Which lane is taken, what is refused, and that the page says the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.plan.lane import (
    DISK,
    TABLE,
    Lane,
    Row,
    choose_lane,
    count_payloads,
    observe,
)
from clone_pipeline.core.plan.situation import Situation
from clone_pipeline.core.references import IdMap, Rewriter
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.server import ServerStore

from ..vectors.native_servers import Proxy, standing

PAGE = Path(__file__).parents[3] / "docs" / "lanes.md"

# The situation of each row of the table, in its order.
SITUATIONS = [
    Situation(collections=False),
    Situation(custom_sharding=True, keeps_shard_keys=False),
    Situation(custom_sharding=True),
    Situation(embedded=True),
    Situation(key_only_reads=True),
    Situation(same_version=False),
    Situation(outdated=True),
    Situation(long_name=True),
    Situation(several_nodes=True),
    Situation(unsettled=True),
    Situation(one_organization=False),
    Situation(preserves_ids=False),
    Situation(copies_files=True, located=3),
    Situation(hands_over_key=True),
    Situation(read_only_source_key=True),
    Situation(payloads_to_change=None),
    Situation(payloads_to_change=7),
    Situation(),
]
CASES = list(zip(TABLE, SITUATIONS, strict=True))
IDS = [row.situation for row in TABLE]
POSSIBLE = [case for case in CASES if case[0].auto != "refused"]
POSSIBLE_IDS = [row.situation for row, _ in POSSIBLE]

IDMAP = IdMap(
    namespace=("ns_old", "ns_new"),
    organization=("int_1", "int_1"),
    ids={kind: {} for kind in ("bucket", "collection", "retriever", "taxonomy")},
    names={},
    left_out={},
)


def shown(columns: str) -> list[list[str]]:
    """The rows of the page's table with these columns."""
    table = PAGE.read_text(encoding="utf-8").partition(f"| {columns} |\n")[2].split("\n\n")[0]
    lines = table.splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_shows_the_table() -> None:
    columns = "situation | `auto` takes | `lane: native` on request | because"
    assert shown(columns) == [
        [row.situation, row.auto, "allowed" if row.allowed else "refused", row.reason]
        for row in TABLE
    ]


def test_the_page_tells_the_disk_that_is_needed() -> None:
    told = shown("the stream | collections' worth of free disk")
    assert [int(cells[1]) for cells in told] == [DISK["pulled"], DISK["relayed"]]


@pytest.mark.parametrize(("row", "it"), CASES, ids=IDS)
def test_each_row_fits_its_situation_alone(row: Row, it: Situation) -> None:
    assert [other.situation for other in TABLE[:-1] if other.fits(it)] == (
        [row.situation] if row is not TABLE[-1] else []
    )


@pytest.mark.parametrize(("row", "it"), POSSIBLE, ids=POSSIBLE_IDS)
def test_auto_takes_what_the_row_says(row: Row, it: Situation) -> None:
    assert choose_lane("auto", it) == Lane(row.auto, row.reason)


@pytest.mark.parametrize(("row", "it"), CASES, ids=IDS)
def test_native_on_request_is_done_or_refused_with_the_reason(row: Row, it: Situation) -> None:
    if row.allowed:
        assert choose_lane("native", it).name == "native"
    else:
        with pytest.raises(InvalidRequest) as refused:
            choose_lane("native", it)
        assert row.reason in refused.value.message


@pytest.mark.parametrize(("row", "it"), POSSIBLE, ids=POSSIBLE_IDS)
def test_stream_on_request_is_done(row: Row, it: Situation) -> None:
    assert choose_lane("stream", it) == Lane("stream", "asked for")


@pytest.mark.parametrize("asked", ["auto", "stream"])
def test_shard_keys_need_a_qdrant_that_keeps_them_unless_no_points_are_asked_for(
    asked: Literal["auto", "stream"],
) -> None:
    keyless = Situation(custom_sharding=True, keeps_shard_keys=False)
    for it in (keyless, replace(keyless, embedded=True)):
        with pytest.raises(InvalidRequest, match=r"cluster.enabled: true.* leave collections out"):
            choose_lane(asked, it)
        assert choose_lane(asked, replace(it, collections=False)).name == "stream"


@pytest.mark.parametrize(("row", "it"), POSSIBLE, ids=POSSIBLE_IDS)
def test_lossy_vectors_are_never_streamed(row: Row, it: Situation) -> None:
    lossy = replace(it, lossy=("text", ""))
    if not it.collections:
        assert choose_lane("auto", lossy).name == "stream"
        return
    with pytest.raises(InvalidRequest, match='text, "" are stored lossily'):
        choose_lane("stream", lossy)
    if row.auto == "native":
        assert choose_lane("auto", lossy).name == "native"
        return
    with pytest.raises(InvalidRequest) as refused:
        choose_lane("auto", lossy)
    assert ("use `lane: native`" in refused.value.message) is row.allowed


@pytest.mark.parametrize(
    ("count", "beginning"),
    [(1, "1 point will keep"), (7, "7 points will keep"), (None, "Points may keep")],
)
def test_native_on_request_tells_which_payloads_keep_the_source(
    count: int | None, beginning: str
) -> None:
    lane = choose_lane("native", Situation(payloads_to_change=count))
    assert [text.startswith(beginning) for text in lane.warnings] == [True]
    assert choose_lane("native", Situation()).warnings == ()


def test_native_on_request_tells_that_a_key_is_handed_over() -> None:
    [told] = choose_lane("native", Situation(hands_over_key=True)).warnings
    assert told.startswith("The clone's Qdrant server is given the key of the source's Qdrant")


# ---- observing -------------------------------------------------------------------------------


@pytest.fixture
def server(qdrant_url: str) -> Iterator[ServerStore]:
    store = ServerStore.open(qdrant_url)
    store.create("test_lane", {"vectors": {}})
    yield store
    store.delete("test_lane")
    store.close()


PAYLOADS: list[dict[str, Any]] = [
    {},
    {"_internal": {}},
    {"_internal": {"namespace_id": "ns_new"}},
    {"_internal": {"internal_id": "int_1"}},
    {"namespace_id": "ns_else", "metadata": {"namespace_id": "ns_old"}},
    {"_internal": {"source_details": [{"type": "bucket", "source_id": "bkt_1"}]}},
    {"_internal": {"namespace_id": "ns_old"}},
    {"document_blobs": [{"url": "s3://b/k"}, {"url": "s3://b/k", "presigned_url": "https://b"}]},
    {"_internal": {"source_blobs": [{"presigned_url": "https://b"}]}},
    {"_internal": {"source_blobs": [{"presigned_url": None}]}, "presigned_url": None},
    {"_internal": {"internal_id": "int_2"}},
    {"namespace_id": "ns_old"},
    {"_internal": {"source_details": [{"type": "namespace", "source_id": "ns_old"}]}},
    *(
        {"_internal": {"namespace_id": odd}}
        for odd in (None, 5, False, "", [], ["ns_new"], [None], {}, {"a": 1})
    ),
]


@pytest.mark.parametrize("indexed", [False, True])
def test_the_payloads_that_are_counted_are_those_that_change(
    indexed: bool, server: ServerStore
) -> None:
    fields = {"_internal.namespace_id": "keyword", "namespace_id": "keyword"}
    server.create("test_lane", {"vectors": {}, "payload_schema": fields if indexed else {}})
    rewriter = Rewriter(IDMAP)
    changed, counted = [], []
    for payload in PAYLOADS:
        server.upsert("test_lane", [Point(1, {}, payload)])
        counted.append(count_payloads(server.native, "test_lane", IDMAP))
        changed.append(int(rewriter.rewrite_payload(payload)[0] != payload))
    assert counted == changed
    assert 0 < sum(changed) < len(PAYLOADS)


def test_strict_mode_that_forbids_counting_leads_to_the_stream_lane(server: ServerStore) -> None:
    strict = {"enabled": True, "unindexed_filtering_retrieve": False}
    server.create("test_lane", {"vectors": {}, "strict_mode_config": strict})
    seen = observe("auto", Situation(), server.native, "test_lane", IDMAP)
    assert seen == Situation(payloads_to_change=None)
    assert choose_lane("auto", seen).name == "stream"


def test_what_the_server_tells_decides(server: ServerStore) -> None:
    assert observe("auto", Situation(), server.native, "test_lane", IDMAP) == Situation()
    server.upsert("test_lane", [Point(1, {}, {"_internal": {"namespace_id": "ns_old"}})])
    seen = observe("native", Situation(), server.native, "test_lane", IDMAP)
    assert seen == Situation(payloads_to_change=1)


@pytest.mark.parametrize("other", ["source", "target"])
@pytest.mark.parametrize(
    ("path", "told", "expected"),
    [
        ("/", {"version": "1.17.9"}, Situation(same_version=False)),
        ("/cluster", {"result": {"peers": {"1": {}, "2": {}}}}, Situation(several_nodes=True)),
    ],
)
def test_both_servers_are_asked(
    path: str, told: dict[str, Any], expected: Situation, other: str, server: ServerStore
) -> None:
    proxy = Proxy(server.address()[0])
    # What is asked of one collection is the server's own answer.
    proxy.answers["GET", path] = lambda answer: (
        (200, answer[1] if "local_shards" in str(answer[1]) else told)
    )
    with standing(proxy) as seen:
        target, source = (server, seen) if other == "source" else (seen, server)
        found = observe("auto", Situation(), target.native, "test_lane", IDMAP, source.native)
    assert found == expected


@pytest.mark.parametrize("character", ["n", "é"])
def test_a_name_that_the_server_cannot_name_a_snapshot_after_leads_to_the_stream_lane(
    character: str, server: ServerStore
) -> None:
    server.delete("test_lane")
    for size, name in ((200, "native"), (202, "stream"), (254, "stream")):
        collection = character * (size // len(character.encode()))
        server.create(collection, {"vectors": {}})
        try:
            server.upsert(collection, [Point(1, {}, {"n": 1})])
            seen = observe("auto", Situation(), server.native, collection, IDMAP)
            assert choose_lane("auto", seen).name == name
            if name == "native":
                config = server.read_config(collection)
                server.native.copy(collection, "test_lane", config, sleep=lambda _: None)
                assert server.count("test_lane") == 1
        finally:
            server.delete(collection)
            server.delete("test_lane")


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("stream", Situation()),
        ("auto", Situation(preserves_ids=False)),
        ("native", Situation(preserves_ids=False)),
        ("auto", Situation(read_only_source_key=True)),
    ],
)
def test_the_server_is_not_asked_where_the_lane_is_clear(asked: Any, known: Situation) -> None:
    nowhere = ServerStore.open("http://127.0.0.1:1")
    try:
        assert observe(asked, known, nowhere.native, "any", IDMAP) == known
    finally:
        nowhere.close()


_PLANS_EMBEDDED = """
import sys
import subprocess
import sys
from pathlib import Path
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample

home = Path(sys.argv[1])
with harness.open_stores(home) as stores:
    harness.load(stores, sample())
    request = parse_request({"namespace_identifier": "prod", "namespace_name": "copy"})
    assert dry_run.plan(stores, request, LOCAL_OPERATOR).counts["points"]
server = ("server", "channel", "native")
print([name for name in server if f"clone_pipeline.core.vectors.{name}" in sys.modules])
"""


@pytest.mark.outside
def test_planning_an_embedded_clone_loads_nothing_of_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PLANS_EMBEDDED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
