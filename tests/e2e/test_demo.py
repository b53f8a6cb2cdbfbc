"""The proof that a person sees first: a training run becomes an endpoint, a spoilt one does not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets.settings_file import CLUSTER_VARIABLE, HOME_VARIABLE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """pytest's own are so deep that sockets in a home below them would have too long a path."""
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        yield Path(directory)


def test_the_demo_tells_its_story_and_leaves_nothing(short_directory: Path) -> None:
    hidden = {CLUSTER_VARIABLE, HOME_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("ai-how")), "demo", "--once"],
        env={**environment, "TMPDIR": str(short_directory)},
        cwd=short_directory, capture_output=True, text=True, timeout=850, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = ended.stdout + ended.stderr
    assert "answer   Paris" in said
    assert "rejected" in said
    assert list(short_directory.glob("ai-how-demo-*")) == []
