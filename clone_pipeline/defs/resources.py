"""Opens the stores for the ops. No logic: where they are, the environment says."""

from collections.abc import Callable

import dagster as dg
from pydantic import PrivateAttr

from clone_pipeline.core.principal import Principal
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.automation import target_of_run
from clone_pipeline.deployment import find_principal, open_stores
from clone_pipeline.settings import Settings, load_settings


class StoresResource(dg.ConfigurableResource[None]):
    """The catalog, the vector store and the object store of an environment."""

    _settings: Settings | None = PrivateAttr(default=None)
    _stores: Stores | None = PrivateAttr(default=None)
    _tell: Callable[[str], None] | None = PrivateAttr(default=None)
    _environment: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        # No setting of its own: Dagster would take `{env: NAME}` for it from whoever launches.
        self._environment = None if context.run is None else target_of_run(context.run)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._stores is not None:
            self._stores.close()
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
            self._stores = open_stores(
                self.settings, on_wait=self._waits, environment=self._environment
            )
        return self._stores

    def tell_with(self, tell: Callable[[str], None]) -> None:
        """Where the step at work is told what it waits for: the embedded Qdrant, which another
        process has. Steps of one run may share the stores, so each says it anew."""
        self._tell = tell

    def _waits(self, sentence: str) -> None:
        if self._tell is not None:
            self._tell(sentence)

    @property
    def principal(self) -> Principal:
        return find_principal(self.settings, self.stores)

    @property
    def process_goes_on(self) -> bool:
        """Whether one process runs all steps of a run."""
        return self.settings.executor == "in_process"
