"""One whole platform for the folder: starting one takes as long as a few checkpoints.

So no test may count on being the first, and each leaves the platform up and mended.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.embedded_platform import EmbeddedPlatform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPlatform]:
    """A platform that is up; at the end it goes down and nothing of it is left."""
    started = EmbeddedPlatform(tmp_path_factory.mktemp("home"))
    try:
        started.up()
        yield started
    finally:
        started.down()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedPlatform]:
    """A platform of one test's own, not started yet."""
    made = EmbeddedPlatform(tmp_path)
    try:
        yield made
    finally:
        made.down()
