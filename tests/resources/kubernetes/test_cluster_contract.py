"""The API server double and a real cluster, held to the same contract."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.kubernetes import Kubernetes, Reference
from tests.doubles.kubernetes import ApiServer
from tests.resources.kubernetes.cluster_contract import ApplyContract, ObjectContract
from tests.resources.kubernetes.sets_contract import SetsContract


class Contract(ApplyContract, ObjectContract, SetsContract):
    """A namespace for each test; a subclass gives `client`."""

    @pytest.fixture
    def namespace(self, client: Kubernetes) -> Iterator[str]:
        name = f"test-{uuid.uuid4().hex[:8]}"
        about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        client.apply(about)
        yield name
        client.delete(Reference.of(about))


class TestDouble(Contract):
    @pytest.fixture
    def client(self, api_server: ApiServer, tmp_path: Path) -> Kubernetes:
        return Kubernetes(api_server.kubeconfig(tmp_path))


@pytest.mark.testbed
class TestTestbed(Contract):
    @pytest.fixture
    def client(self, kubernetes: Kubernetes) -> Kubernetes:
        return kubernetes
