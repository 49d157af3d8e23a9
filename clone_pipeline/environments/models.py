"""What may stand in the environments file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from clone_pipeline.addresses import Address
from clone_pipeline.core.objects.address import check_bucket, check_prefix
from clone_pipeline.core.references import COUNTERPARTS
from clone_pipeline.variables import FromEnvironment, Secret, read_reference

LONGEST_VALUE = 500


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Qdrant(_Strict):
    """A Qdrant server."""

    url: Address = Field(
        max_length=2000, description="Its address, such as `https://qdrant.example.org:6333`."
    )
    grpc_port: int | None = Field(
        None, ge=1, le=65535, description="Its gRPC port; without it the one after the URL's."
    )
    api_key: Secret = Field(None, description="A key that may write.")
    read_only_api_key: Secret = Field(
        None, description="A key that may only read: sources are read with it."
    )


class Files(_Strict):
    """The S3 that holds the files, and where copies of files are written."""

    endpoint_url: Address | None = Field(
        None, max_length=2000, description="Its address; without it AWS itself."
    )
    region: str | None = Field(None, max_length=100, description="Its region.")
    profile: str | None = Field(
        None, max_length=200, description="The profile of the AWS files that has its credentials."
    )
    bucket: str | None = Field(None, max_length=255, description="Where copied files are written.")
    prefix: str = Field("", max_length=500, description="What their keys begin with.")

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, bucket: str | None) -> str | None:
        return check_bucket(bucket)

    @field_validator("prefix")
    @classmethod
    def _is_a_prefix(cls, prefix: str) -> str:
        return check_prefix(prefix)


class Environment(_Strict):
    """One deployment: its catalog, its Qdrant and its S3."""

    access: Literal["read", "write"] = Field(
        description="`read`: a source only, and never written. `write`: may be a target too."
    )
    home: Path | None = Field(
        None, description="The folder of embedded stores, instead of `catalog_url` and `qdrant`."
    )
    catalog_url: str | FromEnvironment | None = Field(
        None, description="The catalog's address; one with a password in it by `{env: NAME}`."
    )
    qdrant: Qdrant | None = Field(None, description="The Qdrant server.")
    files: Files = Field(Files(), description="The S3 that holds its files.")
    api_key: Secret = Field(
        None, description="The key of its catalog with which namespaces are looked up there."
    )

    # Before the types are checked: a sentence about a wrong type would quote a secret.
    @field_validator("catalog_url", mode="before")
    @classmethod
    def _is_catalog(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return read_reference(value, "an address without a password, or ")
        try:
            password = make_url(value).password
        except (ArgumentError, ValueError):
            raise ValueError(
                "`catalog_url` is no address of a database, such as postgresql://host:5432/name"
            ) from None
        if password:
            raise ValueError(
                "`catalog_url` holds a password; put it into a variable, and write `{env: NAME}`"
            )
        return value

    @field_validator("home", mode="before")
    @classmethod
    def _is_folder(cls, value: Any) -> Any:
        if value is None or isinstance(value, Path):
            return value
        if not isinstance(value, str) or not value:
            raise ValueError("`home` is the path of a folder")
        return Path(value)

    @model_validator(mode="after")
    def _is_whole(self) -> Environment:
        given = (self.catalog_url is not None, self.qdrant is not None)
        if self.home is not None and any(given):
            raise ValueError("an environment has either `home`, or `catalog_url` and `qdrant`")
        if self.home is None and not all(given):
            raise ValueError("an environment needs `catalog_url` and `qdrant`, or `home`")
        return self


Row = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE)]], Field(min_length=2)
]


class SameThings(_Strict):
    """What is the same thing in several environments. Each row says what it is called in each."""

    connections: list[Row] = Field([], description="Connections, by their ids.")
    secrets: list[Row] = Field([], description="The organization's secrets, by their names.")
    clusters: list[Row] = Field([], description="Infrastructure and Ray clusters, by their ids.")
    storage: list[Row] = Field([], description="Buckets of vectors, by their names.")

    @property
    def by_kind(self) -> dict[str, list[dict[str, str]]]:
        """By the name that the table of references has for the kind (`COUNTERPARTS`)."""
        sections = (self.connections, self.secrets, self.clusters, self.storage)
        return dict(zip(COUNTERPARTS, sections, strict=True))


class EnvironmentsFile(_Strict):
    """The deployments that namespaces are cloned between, by name."""

    map: SameThings = Field(
        SameThings(),
        description="What is the same thing in several environments: it is put in the place of the "
        "source's, which is cleared otherwise.",
    )
    environments: dict[str, Environment] = Field(
        {},
        description="The environments by name; `default` is the one that the variables describe.",
    )
