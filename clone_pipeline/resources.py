"""Opens the stores for the ops. No logic: where they are, the environment says."""

from collections.abc import Callable

import dagster as dg
from pydantic import PrivateAttr, SecretStr

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import resolve_key
from clone_pipeline.core.errors import Unauthorized
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.settings import Settings, load_settings


def open_stores(settings: Settings, on_wait: Callable[[str], None] | None = None) -> Stores:
    """The stores that the environment names. The caller closes `catalog`.

    `on_wait` is told when the embedded Qdrant is in use and has to be waited for.
    """
    return Stores(
        catalog=Catalog.open(settings.catalog_address),
        vector_address=VectorAddress(
            folder=None if settings.qdrant_url else settings.vectors_folder,
            url=settings.qdrant_url,
            api_key=_secret(settings.qdrant_api_key),
            source_api_key=_secret(settings.qdrant_source_api_key),
        ),
        s3_endpoint_url=settings.s3_endpoint_url,
        on_wait=on_wait,
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


class StoresResource(dg.ConfigurableResource[None]):
    """The catalog, the vector store and the object store of this deployment."""

    _settings: Settings | None = PrivateAttr(default=None)
    _stores: Stores | None = PrivateAttr(default=None)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._stores is not None:
            self._stores.catalog.close()
            self._stores = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            self._settings = load_settings()
        return self._settings

    @property
    def stores(self) -> Stores:
        """Opened by the first step that asks, so that what is wrong is that step's failure."""
        if self._stores is None:
            self._stores = open_stores(self.settings)
        return self._stores

    @property
    def principal(self) -> Principal:
        return find_principal(self.settings, self.stores)

    @property
    def process_goes_on(self) -> bool:
        """Whether one process runs all steps of a run."""
        return self.settings.executor == "in_process"


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
