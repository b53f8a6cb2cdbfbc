"""Helm in memory and the real one on a real cluster, held to the same contract."""

import pytest

from resources.helm import Helm
from tests.doubles.helm import MemoryHelm
from tests.resources.helm.helm_contract import HelmContract


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
    def namespace(self, space: str) -> str:
        return space

    @pytest.fixture
    def helm(self, real_helm: Helm) -> Helm:
        return real_helm
