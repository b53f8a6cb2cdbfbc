"""MLflow and the double that stands in for it, held to the same contract."""

import pytest

from resources.mlflow import Registry
from tests.doubles.registry import MemoryRegistry
from tests.resources.registry_contract import RegistryContract


@pytest.mark.real
class TestMlflow(RegistryContract):
    """The real server; its fixture stands in conftest."""


class TestInMemory(RegistryContract):
    @pytest.fixture
    def registry(self) -> Registry:
        return MemoryRegistry()
