"""The story that the demo tells, told to the end: two training runs, one endpoint, no trace."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


def _told(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloud_assets.cli.main", "demo", "--once"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW_")}
    return subprocess.run(
        command, cwd=directory, env=environment, text=True, capture_output=True, timeout=600
    )


@pytest.mark.e2e
@pytest.mark.timeout(660)
def test_the_demo_tells_its_story_and_leaves_no_process(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.process_iter()}
    demo = _told(tmp_path)
    assert demo.returncode == 0, demo.stderr
    assert "answer   Paris" in demo.stderr
    left = [
        process.name()
        for process in psutil.process_iter()
        if process.pid not in before
        and "AI_HOW_SUPERVISED" in (process.environ() if process.is_running() else {})
    ]
    assert left == []
