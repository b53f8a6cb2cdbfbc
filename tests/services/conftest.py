"""Settings with all services on, as a site has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets.settings import Settings
from tests.doubles.kubernetes import ApiServer


def with_services(**platform: object) -> Settings:
    """Of all three services, where nothing else is asked for; with absolute paths."""
    wanted = {
        "images": {"mlflow": "registry.local/mlflow:3.17.2"},
        "services": {"minio": {}, "postgresql": {}, "mlflow": {}},
        **platform,
    }
    return Settings.model_validate(wanted).resolved(Path("/srv/platform"))


@pytest.fixture
def settings() -> Settings:
    return with_services()


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running
