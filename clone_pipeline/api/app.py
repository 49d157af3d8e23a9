"""The ASGI app."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from clone_pipeline.api.errors import add_handlers
from clone_pipeline.api.guard import DOCS, Guard
from clone_pipeline.api.health import CachedLook
from clone_pipeline.api.routes import (
    clones,
    health,
    metrics,
    namespaces,
    resources,
    tasks,
    templates,
)
from clone_pipeline.api.service import Service, bearer
from clone_pipeline.api.turns import Turns, turn

_ABOUT = """Clones namespaces, as Mixpeek's own client asks for it. What happens behind a
request is a Dagster run. Every path under `/v1` needs an API key (`clone-pipeline keys create`)."""


def create_app(service: Service, requests_per_minute: int) -> FastAPI:
    """The app over a deployment's stores and Dagster; so many requests a minute for each key."""
    app = FastAPIOffline(
        title="clone-pipeline",
        version=version("clone-pipeline"),
        description=_ABOUT,
        docs_url=DOCS,
        redoc_url=None,
        # Its scripts and styles are ours to serve: an API key is pasted into that page.
        static_url=f"{DOCS}/assets",
        # The badge would ask a third party about the document.
        swagger_ui_parameters={"validatorUrl": None},
        # A path with a slash too many is another path: a redirect would lose the body.
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.turns = Turns()
    app.state.readiness = CachedLook(lambda: health.look(service))
    for routes in (clones, namespaces, resources, tasks, templates):
        app.include_router(routes.router, dependencies=[Depends(bearer), Depends(turn)])
    app.include_router(metrics.router, dependencies=[Depends(bearer), Depends(turn)])
    app.include_router(health.router)
    add_handlers(app)
    app.add_middleware(Guard, stores=service.stores, requests_per_minute=requests_per_minute)
    return app
