"""All stores of all environments, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from clone_pipeline.core.errors import CloneError, InvalidRequest
from clone_pipeline.core.request import DEFAULT_ENVIRONMENT
from clone_pipeline.deployment import Where, find_where
from clone_pipeline.environments.load import Environments
from clone_pipeline.probing.catalog import catalog_identity, check_catalog
from clone_pipeline.probing.clocks import Clock
from clone_pipeline.probing.files import check_files
from clone_pipeline.probing.findings import Findings, Store
from clone_pipeline.probing.qdrant import check_qdrant, qdrant_identity
from clone_pipeline.settings import Settings


@dataclass
class Checked:
    """An environment with what was found of it. `stores` are the identities of those that could be
    asked, by `catalog` and `qdrant`."""

    name: str
    access: str | None
    findings: Findings = field(default_factory=Findings)
    stores: dict[Store, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return any(one.level == "failed" for one in self.findings.all)

    def to_json(self) -> dict[str, Any]:
        return {
            "environment": self.name,
            "access": self.access,
            "failed": self.failed,
            "findings": [one.to_json() for one in self.findings.all],
        }


def check_environments(
    settings: Settings, known: Environments, names: Sequence[str], clock: Clock
) -> list[Checked]:
    """In the order of `names`. Of those that may be targets, each store is written for a moment;
    all others that are known are asked which stores they are.

    What is wrong with an environment is a finding; raises InvalidRequest for one that there is not.
    """
    for name in names:
        if name != DEFAULT_ENVIRONMENT:
            known.find(name)
    found = [_check(settings, known, name, clock) for name in names]
    unasked = [_identify(settings, known, name) for name in known.names if name not in names]
    for number, one in enumerate(found):
        _tell_same(one, [*found[:number], *unasked])
    return found


def _check(settings: Settings, known: Environments, name: str, clock: Clock) -> Checked:
    checked = Checked(name, None)
    try:
        where = find_where(settings, known, name)
    except InvalidRequest as error:
        checked.findings.add("settings", "failed", error.message)
        return checked
    checked.access = where.access
    looked = check_catalog(where, checked.findings, clock)
    qdrant = check_qdrant(where, checked.findings, clock)
    check_files(where, looked.objects, checked.findings, clock)
    identities: dict[Store, str | None] = {"catalog": looked.identity, "qdrant": qdrant}
    checked.stores = {store: one for store, one in identities.items() if one is not None}
    return checked


def _identify(settings: Settings, known: Environments, name: str) -> Checked:
    """An environment that is not to be checked, as far as its stores say which ones they are."""
    checked = Checked(name, None)
    with suppress(CloneError):
        where = find_where(settings, known, name)
        asked: dict[Store, Callable[[Where], str]] = {
            "catalog": catalog_identity,
            "qdrant": qdrant_identity,
        }
        for store, ask in asked.items():
            with suppress(CloneError, OSError):
                checked.stores[store] = ask(where)
    return checked


def _tell_same(one: Checked, others: Sequence[Checked]) -> None:
    """Two names of one store: between them nothing is cloned."""
    for other in others:
        for store, identity in one.stores.items():
            if identity == other.stores.get(store):
                what = "catalog" if store == "catalog" else "Qdrant"
                one.findings.add(
                    store,
                    "warning",
                    f"It has the same {what} as the environment {other.name!r}; between the two, "
                    "nothing is cloned.",
                )
