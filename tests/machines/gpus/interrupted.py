"""A switch in a process of its own, standing still at a moment of it: to be killed, or to go on."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machines.gpus.site import SERVES
from tests.testbed import pins

#: What is said right before the drain, the stop, the release, the start, and when all is over.
MOMENTS = ("left out: close", "shut down", "wait until", "start", "left out: open")
_SWITCH = """
import sys
from pathlib import Path
from tests.machines.gpus.on_rig import site_of

def say(text):
    print(text, flush=True)
    sys.stdin.readline()

site = site_of(Path(sys.argv[1]))
site.carry_out(site.plan(sys.argv[2], sys.argv[3]), because="a test", say=say)
"""


@contextmanager
def switching(file: Path, gpu: str, moment: str) -> Iterator["subprocess.Popen[str]"]:
    """Within, it hands the GPU to SERVES and stands still."""
    command = [sys.executable, "-c", _SWITCH, str(file), gpu, SERVES]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=pins.REPOSITORY
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while not (said := process.stdout.readline()).startswith(moment):
                assert said, f"it ended before it said: {moment}"
                process.stdin.write("\n")
                process.stdin.flush()
            yield process
        finally:
            process.kill()


def to_its_end(process: "subprocess.Popen[str]") -> int:
    """Its exit status, once it was let say what it will."""
    process.communicate("\n" * 50)
    return process.returncode
