"""The proof that a person sees first: a training run becomes an endpoint, a spoilt one does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_assets.settings_file import CLUSTER_VARIABLE, HOME_VARIABLE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_the_demo_tells_its_story_and_leaves_nothing(tmp_path: Path) -> None:
    hidden = {CLUSTER_VARIABLE, HOME_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("ai-how")), "demo", "--once"],
        env={**environment, "TMPDIR": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = ended.stdout + ended.stderr
    assert "answer   Paris" in said
    assert "rejected" in said
    assert list(tmp_path.glob("ai-how-demo-*")) == []
