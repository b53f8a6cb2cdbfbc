"""MLflow's own client, made quick to give up; importing it takes seconds: only when asked for."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: A server that is down fails a call within seconds, where MLflow's defaults try for minutes.
_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def connected(url: str, *, s3_endpoint: str | None) -> "MlflowClient":
    """A client of the server at `url`, nothing asked of it yet; what the environment has, stays."""
    from mlflow import MlflowClient

    bucket = {"MLFLOW_S3_ENDPOINT_URL": s3_endpoint} if s3_endpoint else {}
    for name, value in {**_CLIENT, **bucket}.items():
        os.environ.setdefault(name, value)
    return MlflowClient(tracking_uri=url, registry_uri=url)
