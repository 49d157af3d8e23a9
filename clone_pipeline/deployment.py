"""This deployment and the others: the stores that an environment has, and who launches from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal

from pydantic import SecretStr

from clone_pipeline.core.catalog.address import parse
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import resolve_key
from clone_pipeline.core.errors import InvalidRequest, Unauthorized
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.request import DEFAULT_ENVIRONMENT as DEFAULT
from clone_pipeline.core.stores import PATIENCE_SECONDS, Counterparts, Stores, VectorAddress
from clone_pipeline.environments import (
    Environment,
    Environments,
    read_environments,
)
from clone_pipeline.settings import Settings, read_variable
from clone_pipeline.variables import FromEnvironment


@dataclass(frozen=True)
class Where:
    """An environment with its secrets. `catalog` may hold a password: never log it. `vectors` is
    the Qdrant with the keys to write it; `api_key` names namespaces in its catalog, and
    `key_from` says where that is set."""

    name: str
    access: Literal["read", "write"]
    catalog: str | Path
    vectors: VectorAddress
    files: FilesAddress
    api_key: str | None
    key_from: str

    @property
    def to_read(self) -> VectorAddress:
        """With the key that may only read, where there is one."""
        vectors = self.vectors
        return replace(vectors, api_key=vectors.source_api_key or vectors.api_key)

    def principal(self, catalog: Catalog, stores: Stores) -> Principal:
        """Who works there by its API key. Raises Unauthorized: a shared catalog is used with a key
        only."""
        if self.api_key is not None:
            return resolve_key(catalog, self.api_key, stores.clock())
        if isinstance(self.catalog, Path):
            return LOCAL_OPERATOR
        raise Unauthorized(
            f"{self.key_from}; make a first key with "
            "`clone-pipeline keys create --organization ID --role admin`."
        )


def open_stores(
    settings: Settings,
    on_wait: Callable[[str], None] | None = None,
    wait_seconds: float = PATIENCE_SECONDS,
    environment: str | None = None,
    *,
    to_look: bool = False,
) -> Stores:
    """The stores of an environment, to be written; None is the one that the variables describe.
    The caller closes them. `to_look` is for who writes nothing: one that is only read will do.

    `on_wait` is told when the embedded Qdrant is in use and has to be waited for, for so long.
    Raises InvalidRequest for an environment that there is not, or that is only read.
    """
    known = read_environments(settings.environments)
    where = find_where(settings, known, environment or DEFAULT)
    only_read = where.access == "read"
    if only_read and not to_look:
        raise InvalidRequest(
            f"The environment {where.name!r} has `access: read`: it can be a source, and never a "
            "target."
        )
    return Stores(
        catalog=Catalog.open_to_read(where.catalog, where.name)
        if only_read
        else Catalog.open(where.catalog),
        vector_address=where.to_read if only_read else where.vectors,
        files=where.files,
        environment=where.name,
        elsewhere=Others(settings, known),
        on_wait=on_wait,
        wait_seconds=wait_seconds,
    )


def find_principal(settings: Settings, stores: Stores) -> Principal:
    """Who launches. Raises Unauthorized: a shared catalog is used with a key only."""
    where = find_where(settings, read_environments(settings.environments), stores.environment)
    return where.principal(stores.catalog, stores)


class Others:
    """The other environments, each opened when it is first asked for, and only to be read."""

    def __init__(self, settings: Settings, known: Environments) -> None:
        self._settings = settings
        self._known = known
        self._opened: dict[str, Stores] = {}
        self._opening = Lock()  # a service asks from several threads

    def open(self, name: str) -> Stores:
        """Raises InvalidRequest, StoreUnavailable, StorageFailed."""
        with self._opening:
            if name not in self._opened:
                self._opened[name] = self._open(name)
            return self._opened[name]

    def _open(self, name: str) -> Stores:
        where = find_where(self._settings, self._known, name)
        catalog = Catalog.open_to_read(where.catalog, name)
        stores = Stores(
            catalog=catalog,
            vector_address=where.to_read,
            files=where.files,
            environment=name,
        )
        try:
            return replace(stores, reader=where.principal(catalog, stores))
        except Unauthorized as error:
            catalog.close()
            # It is this deployment's key for that one, and not that of whoever asks.
            raise InvalidRequest(
                f"The environment {name!r} cannot be looked into: {error.message}"
            ) from None
        except BaseException:
            catalog.close()
            raise

    def counterparts(self, source: str, target: str) -> Counterparts:
        """As the file's `map` has them."""
        return self._known.counterparts(source, target)

    def close(self) -> None:
        while self._opened:
            self._opened.popitem()[1].close()


def find_where(settings: Settings, known: Environments, name: str) -> Where:
    """An environment with its secrets. Raises InvalidRequest for one that is not known, and where a
    variable is not set that it needs."""
    return _default(settings) if name == DEFAULT else _of_file(name, known.find(name), known.file)


def _default(settings: Settings) -> Where:
    return Where(
        name=DEFAULT,
        access="write",
        catalog=settings.catalog_address,
        vectors=VectorAddress(
            folder=settings.vectors_folder,
            url=settings.qdrant_url,
            grpc_port=settings.qdrant_grpc_port,
            api_key=_secret(settings.qdrant_api_key),
            source_api_key=_secret(settings.qdrant_source_api_key),
        ),
        files=FilesAddress(
            endpoint_url=settings.s3_endpoint_url,
            bucket=settings.files_bucket,
            prefix=settings.files_prefix or "",
        ),
        api_key=_secret(settings.api_key),
        key_from="CATALOG_URL is set, so CLONE_PIPELINE_API_KEY is needed",
    )


def _of_file(name: str, environment: Environment, file: str) -> Where:
    def read(reference: FromEnvironment | None) -> str | None:
        if reference is None:
            return None
        value = read_variable(reference.env)
        if value is None:
            raise InvalidRequest(
                f"{file}: the environment {name!r} needs the variable {reference.env}, which is "
                "not set."
            )
        return value.get_secret_value()

    asked = environment.catalog_url
    home = None if environment.home is None else environment.home.expanduser()
    catalog: str | Path
    if home is not None:
        catalog = home / "catalog.db"
    else:
        catalog = asked if isinstance(asked, str) else str(read(asked))
        parse(catalog, f"{file}: the `catalog_url` of the environment {name!r}")
    qdrant = environment.qdrant
    return Where(
        name=name,
        access=environment.access,
        catalog=catalog,
        vectors=VectorAddress(folder=(home or Path(name)) / "qdrant")
        if qdrant is None
        else VectorAddress(
            folder=Path(name),
            url=qdrant.url,
            grpc_port=qdrant.grpc_port,
            api_key=read(qdrant.api_key),
            source_api_key=read(qdrant.read_only_api_key),
        ),
        files=FilesAddress(**environment.files.model_dump()),
        api_key=read(environment.api_key),
        key_from=f"{file}: the environment {name!r} has a `catalog_url`, so it needs an `api_key`",
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
