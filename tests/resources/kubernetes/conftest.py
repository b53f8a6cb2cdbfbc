"""The API server double, and our client on the testbed's cluster."""

from collections.abc import Iterator

import pytest

from resources.kubernetes import Kubernetes
from tests.doubles.kubernetes import ApiServer
from tests.testbed.cluster import Cluster


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture(scope="session")
def kubernetes(cluster: Cluster) -> Kubernetes:
    return Kubernetes(cluster.kubeconfig)
