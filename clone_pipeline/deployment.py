"""This deployment: the stores that the environment names, and who launches from it."""

from collections.abc import Callable

from pydantic import SecretStr

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import resolve_key
from clone_pipeline.core.errors import Unauthorized
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.stores import PATIENCE_SECONDS, Stores, VectorAddress
from clone_pipeline.settings import Settings


def open_stores(
    settings: Settings,
    on_wait: Callable[[str], None] | None = None,
    wait_seconds: float = PATIENCE_SECONDS,
) -> Stores:
    """The stores that the environment names. The caller closes `catalog`.

    `on_wait` is told when the embedded Qdrant is in use and has to be waited for, for so long.
    """
    return Stores(
        catalog=Catalog.open(settings.catalog_address),
        vector_address=VectorAddress(
            folder=settings.vectors_folder,
            url=settings.qdrant_url,
            grpc_port=settings.qdrant_grpc_port,
            api_key=_secret(settings.qdrant_api_key),
            source_api_key=_secret(settings.qdrant_source_api_key),
        ),
        s3_endpoint_url=settings.s3_endpoint_url,
        on_wait=on_wait,
        wait_seconds=wait_seconds,
    )


def find_principal(settings: Settings, stores: Stores) -> Principal:
    """Who launches. Raises Unauthorized: a shared catalog is used with a key only."""
    if settings.api_key is not None:
        return resolve_key(stores.catalog, settings.api_key.get_secret_value(), stores.clock())
    if settings.embedded_catalog:
        return LOCAL_OPERATOR
    raise Unauthorized(
        "CATALOG_URL is set, so CLONE_PIPELINE_API_KEY is needed; make a first key with "
        "`clone-pipeline keys create --organization ID --role admin`."
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
