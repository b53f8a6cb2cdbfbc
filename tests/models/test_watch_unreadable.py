"""The watch as another user: what it may not read is waited for, and taken once it may."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles import children
from tests.doubles.checkpoints import Checkpoints

pytestmark = pytest.mark.real

WATCH = """
import time
watch = Watch([Root(path=Path(sys.argv[1]), model="m")], 0.0, known={})
print(*waiting_for(watch.look(time.time())).values(), flush=True)
sys.stdin.readline()
while not (ready := watch.look(time.time()).ready):
    time.sleep(0.05)
print(ready[0].key, flush=True)
"""


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A root that any user may list; pytest's own directories are for one user."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_weights_of_another_user_are_taken_once_they_can_be_read(open_root: Path) -> None:
    weights = Checkpoints(open_root).hf() / "model.safetensors"
    weights.chmod(0o600 if os.geteuid() == 0 else 0)
    with subprocess.Popen(
        children.command(WATCH, open_root, lowered=True),
        cwd=children.REPOSITORY, env={**os.environ, "PYTHONPATH": str(children.REPOSITORY)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdin
        assert child.stdout
        assert "weights are unreadable" in child.stdout.readline()
        weights.chmod(0o644)
        child.stdin.write("\n")
        child.stdin.close()
        assert child.stdout.readline().strip() == "m.run.100"
    assert child.returncode == 0
