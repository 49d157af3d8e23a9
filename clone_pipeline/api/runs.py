"""Dagster's runs, through the client that Dagster has for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx

from clone_pipeline.api.errors import DagsterUnavailable
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.defs.automation import queue_tags
from clone_pipeline.defs.outcome import CLONE_ID_TAG
from clone_pipeline.launch import JOB, LOCATION, REPOSITORY

if TYPE_CHECKING:
    from dagster_graphql import DagsterGraphQLClient

T = TypeVar("T")

# Well below the time for which nobody takes a reservation for lost.
_TIMEOUT_SECONDS = 20
_IS_LOADED = "query($job: PipelineSelector!) { pipelineOrError(params: $job) { __typename } }"
# What Dagster answers when there is nothing left to stop.
_OVER = ("RunNotFoundError", "TerminateRunFailure")


@dataclass(frozen=True)
class Runs:
    """The runs of the Dagster whose webserver is at `url`.

    Each method raises DagsterUnavailable where it cannot be reached or does not do as it is asked.
    """

    url: str

    def submit(self, clone: Clone, ahead: int) -> str:
        """Asks for the run of a reserved clone, which waits in the queue like any other, after so
        many of its own organization. Its id."""
        tags = queue_tags(clone.organization_id, clone.namespace_name, ahead) | {
            CLONE_ID_TAG: clone.clone_id,
            "clone/source": clone.source_namespace_id,
            "clone/target_namespace": clone.namespace_name,
        }
        run_id = self._ask(
            lambda client: client.submit_job_execution(
                JOB,
                repository_location_name=LOCATION,
                repository_name=REPOSITORY,
                run_config=clone.request,
                tags=tags,
            )
        )
        return str(run_id)

    def cancel(self, run_id: str) -> None:
        """Stops a run that waits or is at work, which records its own end. Nothing happens to one
        that is over."""
        self._ask(lambda client: client.terminate_run(run_id), forgiven=_OVER)

    def check(self) -> None:
        """Whether the job can be asked for: the webserver answers, and has loaded the code."""
        where = {
            "repositoryLocationName": LOCATION,
            "repositoryName": REPOSITORY,
            "pipelineName": JOB,
        }
        body = {"query": _IS_LOADED, "variables": {"job": where}}
        try:
            answer = httpx.post(f"{self.url}/graphql", json=body, timeout=5).raise_for_status()
            found = answer.json()["data"]["pipelineOrError"]["__typename"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise self._unavailable() from error
        if found != "Pipeline":
            raise self._unavailable(found)

    def _ask(
        self, request: Callable[[DagsterGraphQLClient], T], forgiven: tuple[str, ...] = ()
    ) -> T | None:
        # Takes a second to import.
        from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

        where = urlsplit(self.url)
        # A new one each time: its connection is not made for several threads.
        client = DagsterGraphQLClient(
            where.hostname or "",
            port_number=where.port,
            use_https=where.scheme == "https",
            timeout=_TIMEOUT_SECONDS,
            path_prefix=where.path.rstrip("/"),
        )
        try:
            return request(client)
        except DagsterGraphQLClientError as error:
            # Its words may quote the whole request; the first one is the kind of the answer.
            kind = str(error.args[0]) if len(error.args) > 1 else ""
            if kind in forgiven:
                return None
            raise self._unavailable(kind) from error

    def _unavailable(self, kind: str = "") -> DagsterUnavailable:
        reason = f"does not take the request ({kind})" if kind else "cannot be reached"
        return DagsterUnavailable(f"Dagster {reason} now; try again in a moment.")
