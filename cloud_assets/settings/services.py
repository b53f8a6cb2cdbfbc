"""The `services:` section: what of MLOps the platform keeps on the cluster, and the images for it.

A service that is not named is somebody else's or not there; the graph has no asset for it.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cloud_assets.settings import charts
from cloud_assets.settings.section import Name, Quantity, Seconds, Section

#: What runs where `platform.images` names nothing else; without a default the site must name one.
IMAGES: dict[str, str | None] = {
    "minio": "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z",
    "versitygw": "ghcr.io/versity/versitygw:v1.8.0",
    "postgresql": "docker.io/library/postgres:17.6-bookworm",
    "mlflow": None,
    **charts.IMAGES,
}
#: What is installed where `platform.charts` names nothing else.
CHARTS = charts.CHARTS

Parameter = bool | int | float | str


class MinIO(Section):
    """The object store: one S3 server on one volume, with the platform's buckets."""

    server: Literal["minio", "versitygw"] = Field(
        default="minio", description="the program that speaks S3; the volume is not exchangeable"
    )
    storage_class: Name | None = Field(default=None, description="the cluster's default if unset")
    size: Quantity = Field(default="100Gi", description="of the volume")
    cpu: Quantity = Field(default="500m", description="what the pod asks for")
    memory: Quantity = Field(default="1Gi", description="what the pod asks for, and its limit")


class PostgreSQL(Section):
    """The database that MLflow keeps its records in: one server on one volume."""

    storage_class: Name | None = Field(default=None, description="the cluster's default if unset")
    size: Quantity = Field(default="20Gi", description="of the volume")
    cpu: Quantity = Field(default="500m", description="what the pod asks for")
    memory: Quantity = Field(default="1Gi", description="what the pod asks for, and its limit")
    user_id: Annotated[int, Field(ge=1)] = Field(
        default=999, description="the user `postgres` of the image, by number"
    )
    max_connections: Annotated[int, Field(ge=10, le=10_000)] = Field(
        default=200, description="each replica and worker of MLflow may hold fifteen"
    )
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_.]*$")], Parameter] = Field(
        default_factory=dict,
        description="further parameters of the server, as in `shared_buffers: 256MB`",
    )

    @model_validator(mode="after")
    def _parameters_are_free(self) -> Self:
        ours = {"max_connections", "shared_preload_libraries", "listen_addresses", "port"}
        taken = sorted(ours & self.parameters.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot stand among the parameters")
        return self


class MLflow(Section):
    """The registry: stateless replicas before a database and a bucket."""

    replicas: Annotated[int, Field(ge=1, le=16)] = Field(default=2, description="pods")
    workers: Annotated[int, Field(ge=1, le=32)] = Field(
        default=2, description="processes of each pod"
    )
    cpu: Quantity = Field(default="500m", description="what a pod asks for")
    memory: Quantity = Field(default="2Gi", description="what a pod asks for, and its limit")
    database_secret: Name | None = Field(
        default=None,
        description="a Secret in the namespace whose `database_url` is `postgresql://…`; without "
        "one `services.postgresql` is the database",
    )
    s3_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+$",
        description="the S3 server of the artifacts where `services.minio` is not",
    )
    s3_secret: Name | None = Field(
        default=None,
        description="a Secret in the namespace with `AWS_ACCESS_KEY_ID` and "
        "`AWS_SECRET_ACCESS_KEY` for it",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="further names under which browsers may reach it, as in `mlflow.example.org`; "
        "its Service's names always may",
    )


class Services(Section):
    """The MLOps services on the cluster of `kubernetes`; one that is named is the platform's."""

    namespace: Annotated[Name, Field(max_length=40)] = Field(
        default="mlops", description="of `minio`, `postgresql` and `mlflow`, which share Secrets"
    )
    timeout_seconds: Seconds = Field(
        default=600, description="how long one service may take until it is up"
    )
    minio: MinIO | None = None
    postgresql: PostgreSQL | None = None
    mlflow: MLflow | None = None
    cert_manager: charts.Certificates | None = None
    kserve: charts.KServe | None = None
    gpu_operator: charts.GpuOperator | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_is_wanted(cls, given: object) -> object:
        """`minio:` with nothing behind it asks for it as `minio: {}` does."""
        if not isinstance(given, dict):
            return given
        return {key: {} if each is None else each for key, each in given.items()}

    @model_validator(mode="after")
    def _mlflow_stands_on_something(self) -> Self:
        if self.mlflow is None:
            return self
        if self.mlflow.database_secret is None and self.postgresql is None:
            raise ValueError("mlflow needs a database: name postgresql too, or its database_secret")
        if self.mlflow.s3_secret is None and self.minio is None:
            raise ValueError("mlflow needs a bucket: name minio too, or its s3_secret")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the services that are the platform's, in the order of the settings."""
        found = ((name, getattr(self, name)) for name in type(self).model_fields)
        return tuple(name for name, each in found if isinstance(each, Section))

    def images(self) -> Iterator[str]:
        """The names of the images that these services run."""
        if self.minio is not None:
            yield self.minio.server
        yield from (each for each in ("postgresql", "mlflow") if each in self.named)
