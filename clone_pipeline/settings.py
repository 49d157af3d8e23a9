"""The environment, read once and typed. Nothing else in the package reads `os.environ`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.objects.address import check_bucket, check_prefix
from clone_pipeline.core.request import LARGEST_NUMBER

# How much Dagster prints to a run's stderr; its event log always has everything.
LOG_LEVEL_VARIABLE = "CLONE_PIPELINE_LOG_LEVEL"


class Settings(BaseSettings):
    """Where the stores are and who launches. Unset means: embedded stores below `home`."""

    model_config = SettingsConfigDict(
        # A secret that was made with `echo` ends with a line feed.
        env_ignore_empty=True,
        extra="ignore",
        str_strip_whitespace=True,
    )

    home: Path = Field(Path(".clone_pipeline"), validation_alias="CLONE_PIPELINE_HOME")
    catalog_url: SecretStr | None = Field(None, validation_alias="CATALOG_URL")
    qdrant_url: str | None = Field(None, validation_alias="QDRANT_URL")
    qdrant_grpc_port: int | None = Field(None, ge=1, le=65535, validation_alias="QDRANT_GRPC_PORT")
    qdrant_api_key: SecretStr | None = Field(None, validation_alias="QDRANT_API_KEY")
    qdrant_source_api_key: SecretStr | None = Field(None, validation_alias="QDRANT_SOURCE_API_KEY")
    s3_endpoint_url: str | None = Field(None, validation_alias="S3_ENDPOINT_URL")
    files_bucket: str | None = Field(None, validation_alias="CLONE_FILES_BUCKET")
    files_prefix: str | None = Field(None, validation_alias="CLONE_FILES_PREFIX")
    api_key: SecretStr | None = Field(None, validation_alias="CLONE_PIPELINE_API_KEY")
    policies: Path | None = Field(None, validation_alias="CLONE_POLICIES")
    environments: Path | None = Field(None, validation_alias="CLONE_ENVIRONMENTS")
    executor: Literal["in_process", "multiprocess"] = Field(
        "in_process", validation_alias="CLONE_EXECUTOR"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", validation_alias=LOG_LEVEL_VARIABLE
    )
    dagster_home: Path | None = Field(None, validation_alias="DAGSTER_HOME")
    dagster_webserver_url: str | None = Field(
        None, pattern=r"^https?://\S+$", validation_alias="DAGSTER_WEBSERVER_URL"
    )
    api_requests_per_minute: int = Field(
        600, ge=1, le=LARGEST_NUMBER, validation_alias="CLONE_API_REQUESTS_PER_MINUTE"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _without_blanks(cls, value: str) -> str:
        return value.strip()

    @field_validator("executor", mode="before")
    @classmethod
    def _is_of_this_machine(cls, value: str) -> str:
        """Steps come one after the other: spread over machines they would only wait for more."""
        value = value.strip()
        if value in ("celery", "k8s"):
            raise ValueError(
                f"{value!r} takes whole runs now, and no steps: leave it unset, and set a run "
                "launcher in dagster.yaml (docs/deployment.md)"
            )
        return value

    @field_validator("home", "policies", "environments", "dagster_home")
    @classmethod
    def _without_tilde(cls, path: Path | None) -> Path | None:
        """As a shell would have it, which not everything that sets variables goes through."""
        try:
            return path and path.expanduser()
        except RuntimeError:  # a user that there is not
            return path

    @field_validator("files_bucket")
    @classmethod
    def _is_a_bucket(cls, bucket: str | None) -> str | None:
        return check_bucket(bucket)

    @field_validator("files_prefix")
    @classmethod
    def _is_a_prefix(cls, prefix: str | None) -> str | None:
        return prefix and check_prefix(prefix)

    @property
    def embedded_catalog(self) -> bool:
        return self.catalog_url is None

    @property
    def catalog_address(self) -> str | Path:
        """The catalog's URL, or the embedded one's file. May hold a password: never log it."""
        if self.catalog_url is not None:
            return self.catalog_url.get_secret_value()
        return self.catalog_file

    @property
    def catalog_file(self) -> Path:
        """The embedded catalog, used where `catalog_url` is unset."""
        return self.home / "catalog.db"

    @property
    def vectors_folder(self) -> Path:
        """The embedded Qdrant's folder, used where `qdrant_url` is unset."""
        return self.home / "qdrant"


def load_settings() -> Settings:
    """The settings of this process. Raises InvalidRequest naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(
            f"Environment variable {first['loc'][0]} is not usable: {reason}."
        ) from None


def read_variable(name: str) -> SecretStr | None:
    """A variable that a file names for a secret. None where it is unset or empty."""
    value = os.environ.get(name, "").strip()
    return SecretStr(value) if value else None
