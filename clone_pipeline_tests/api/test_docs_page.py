"""`/docs` in a browser without a network: nothing is asked of anybody else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clone_pipeline_tests.api.world import World

pytestmark = pytest.mark.outside

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
)


def browse(url: str, folder: Path) -> tuple[str, set[str]]:
    """The page's document when all of it is there, and every address that it has asked for."""
    log = folder / "net.json"
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}"]
    command += [f"--log-net-log={log}", "--net-log-capture-mode=Everything", "--dump-dom", url]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    # The log of every request, whichever way it ends; some are the browser's own.
    origin = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    found = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    return page, {one["url"] for one in found if "url" in one and one.get("initiator") == origin}


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_the_page_shows_every_operation_and_asks_nobody_else(alone: World, tmp_path: Path) -> None:
    page, asked = browse(f"{alone.url}/docs", tmp_path)
    for path, operations in alone.app.openapi()["paths"].items():
        for operation in operations.values():
            assert operation["operationId"] in page, path
    assert f"{alone.url}/openapi.json" in asked
    assert [one for one in asked if not one.startswith((f"{alone.url}/", "data:"))] == []


def test_the_page_and_what_it_loads_come_from_the_server_itself(alone: World) -> None:
    answer = alone.client.get("/docs")
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert loaded
    for address in loaded:
        assert address.startswith("/docs/"), address
        assert alone.client.get(address).status_code == 200
    assert json.dumps({"validatorUrl": None})[1:-1] in answer.text
