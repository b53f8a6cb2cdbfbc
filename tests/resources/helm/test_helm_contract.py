"""Helm in memory and the real one on a real cluster, held to the same contract."""

import uuid
from collections.abc import Iterator

import pytest

from resources.helm import Helm
from tests.doubles import helm_program
from tests.doubles.helm import MemoryHelm
from tests.resources.helm.helm_contract import HelmContract
from tests.testbed.cluster import Cluster


class TestInMemory(HelmContract):
    @pytest.fixture
    def namespace(self) -> str:
        return "apart"

    @pytest.fixture
    def helm(self) -> Helm:
        return MemoryHelm()


@pytest.mark.testbed
class TestTestbed(HelmContract):
    @pytest.fixture
    def namespace(self, cluster: Cluster) -> Iterator[str]:
        name = f"test-{uuid.uuid4().hex[:8]}"
        cluster.kubectl("create", "namespace", name)
        yield name
        cluster.kubectl("delete", "namespace", name, "--wait=false")

    @pytest.fixture
    def helm(self, cluster: Cluster) -> Helm:
        program = helm_program.built()
        if program is None:
            pytest.skip(helm_program.MISSING)
        return Helm(cluster.kubeconfig, program=program)
