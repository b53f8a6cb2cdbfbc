"""Fixtures of the evaluation room: a world with doubles for registry and model servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.world import World, a_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as found:
        yield found
