"""The ASGI app."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import Depends, FastAPI

from clone_pipeline.api.errors import add_handlers
from clone_pipeline.api.guard import Guard
from clone_pipeline.api.routes import clones, health, namespaces, resources, tasks, templates
from clone_pipeline.api.service import Service, bearer

_ABOUT = """Clones namespaces, as Mixpeek's own client asks for it. What happens behind a
request is a Dagster run. Every path under `/v1` needs an API key (`clone-pipeline keys create`)."""


def create_app(service: Service, requests_per_minute: int) -> FastAPI:
    """The app over a deployment's stores and Dagster; so many requests a minute for each key."""
    app = FastAPI(
        title="clone-pipeline",
        version=version("clone-pipeline"),
        description=_ABOUT,
        redoc_url=None,
        # A path with a slash too many is another path: a redirect would lose the body.
        redirect_slashes=False,
    )
    app.state.service = service
    for routes in (clones, namespaces, resources, tasks, templates):
        app.include_router(routes.router, dependencies=[Depends(bearer)])
    app.include_router(health.router)
    add_handlers(app)
    app.add_middleware(Guard, stores=service.stores, requests_per_minute=requests_per_minute)
    return app
