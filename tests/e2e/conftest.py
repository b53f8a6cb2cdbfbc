"""Whole platforms: one a module by default; a test that breaks it for good starts its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.embedded_platform import EmbeddedPlatform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPlatform]:
    """A platform that is up; when the module is through, it is ended and nothing of it is left."""
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
