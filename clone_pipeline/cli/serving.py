"""`serve`: the HTTP API."""

import click

from clone_pipeline.cli.common import json_option, print_json, tell
from clone_pipeline.settings import load_settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Which port; 0 takes a free one.",
)
@click.option(
    "--ui-port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="Port of the Dagster UI that is started, on 127.0.0.1; 0 takes a free one.",
)
@json_option
def serve(host: str, port: int, ui_port: int, as_json: bool) -> None:
    """Serve the HTTP API, until Ctrl-C.

    Starts and supervises Dagster's webserver, daemon and code server, unless DAGSTER_WEBSERVER_URL
    names the Dagster to use.
    """
    # Imported late: Dagster and FastAPI take seconds, which other commands need not wait for.
    from clone_pipeline.api.serve import serve as serve_api

    def told(url: str, dagster_url: str) -> None:
        if as_json:
            print_json({"url": url, "dagster_url": dagster_url})
        else:
            tell(f"The API is at {url} (documented at {url}/docs), Dagster's UI at {dagster_url}.")

    serve_api(load_settings(), host, port, ui_port, told)
