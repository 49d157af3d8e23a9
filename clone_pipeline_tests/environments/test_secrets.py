"""Whatever the secrets of an environment look like, and whatever is wrong with them, none is
printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..cli.running import run
from .proxy import closed_port
from .servers import qdrants
from .two import write_environments

__all__ = ["qdrants"]  # fixtures

pytestmark = pytest.mark.outside

CANARY = "canaryq7Zx"
# What means something in addresses, headers and sentences, and what no header can hold.
AROUND = st.text(st.sampled_from("aZ0 @:/?#&=%+'\"\\{}[]<>,;\n\tü€"), max_size=6)
SECRETS = st.tuples(AROUND, AROUND).map(CANARY.join)
CATALOGS = st.sampled_from(
    (
        "postgresql://who:{}@127.0.0.1:{port}/db",
        "postgresql://127.0.0.1:{port}/db?user=who&password={}",
        "postgresql://127.0.0.1:{port}/db?pass={}",
        "mysql://who:{}@127.0.0.1:{port}/db",
        "sqlite:///{}?key=1",
        "{}",
    )
)


@pytest.fixture(scope="module")
def port() -> int:
    return closed_port()


def check(folder: Path, qdrant: str, port: int, catalog: str, secrets: dict[str, str]) -> None:
    entry: dict[str, Any] = {
        "access": "write",
        "catalog_url": {"env": "CATALOG"},
        "qdrant": {
            "url": qdrant,
            "api_key": {"env": "WRITES"},
            "read_only_api_key": {"env": "READS"},
        },
        "api_key": {"env": "KEY"},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, secret in secrets.items():
            patch.setenv(name, secret)
        secret = secrets["CATALOG"]
        patch.setenv("CATALOG", catalog.replace("{port}", str(port)).replace("{}", secret))
        patch.setenv("CLONE_ENVIRONMENTS", str(write_environments(folder, there=entry)))
        patch.setenv("CLONE_PIPELINE_HOME", str(folder / "home"))
        for arguments in (("list",), ("list", "--json"), ("check", "there"), ("check", "--json")):
            said = run("environments", *arguments)
            assert CANARY not in said.stdout + said.stderr


@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(
    catalog=CATALOGS,
    secrets=st.fixed_dictionaries(
        {name: SECRETS for name in ("CATALOG", "WRITES", "READS", "KEY", "AWS_ACCESS_KEY_ID")}
    ),
)
def test_no_secret_is_ever_printed(
    qdrants: tuple[str, str],
    port: int,
    tmp_path_factory: pytest.TempPathFactory,
    catalog: str,
    secrets: dict[str, str],
) -> None:
    # A server that answers: the client builds no header for one that does not.
    check(tmp_path_factory.mktemp("secrets"), qdrants[0], port, catalog, secrets)
