"""What runs only when asked for is said at the end, once, also where workers collect."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACE = "tests/resources/slurm/test_on_a_real_slurm.py"


def left_out(*options: str) -> list[str]:
    """The lines at the end of a run of tests that need a Slurm; none of them is asked for."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, PLACE],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, ended.stdout
    return [line for line in ended.stdout.splitlines() if line.startswith("left out")]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_is_said_once_with_what_runs_it(workers: str) -> None:
    [line] = left_out("--numprocesses", workers)
    assert "`make test-slurm`" in line


def test_what_belongs_to_the_other_half_is_not_counted() -> None:
    assert left_out("-m", "e2e") == []
