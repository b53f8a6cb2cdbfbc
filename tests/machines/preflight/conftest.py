"""A made-up machine that is empty."""

from pathlib import Path

import pytest

from tests.resources.host.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "machine")
