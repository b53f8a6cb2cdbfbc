"""The double of a serving backend, held to the contract of the real ones."""

from dataclasses import replace

import pytest

from resources.serving import Servable
from tests.doubles.serving import MemoryServing
from tests.resources.serving_contract import ServingContract

WORDS = "shape (3,) does not fit"


class TestInMemory(ServingContract):
    @pytest.fixture
    def backend(self) -> MemoryServing:
        return MemoryServing()

    @pytest.fixture
    def servable(self) -> Servable:
        return Servable("m.run.1", "m", "a" * 64, "file:///m/", "mlx")

    @pytest.fixture
    def timeout_seconds(self) -> float:
        return 1

    @pytest.fixture
    def broken(self, backend: MemoryServing, servable: Servable) -> tuple[Servable, str]:
        backend.broken["file:///broken/"] = WORDS
        return replace(servable, location="file:///broken/"), "does not fit"
