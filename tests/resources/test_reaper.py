"""What a server started ends with it, however the server ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from resources.process_serving import reaper

pytestmark = pytest.mark.real
Eventually = Callable[[Callable[[], object]], None]
#: A server with an engine that does not notice its end, as vLLM's; it says both their numbers.
SERVER = """
import os, subprocess, sys, time
sleep = "import time; time.sleep(600)"
engine = subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
print(os.getpid(), engine.pid, flush=True)
sys.stdin.readline()
exec(sys.argv[1])
"""


class Started:
    def __init__(self, then: str) -> None:
        command = [sys.executable, str(Path(reaper.__file__)), sys.executable, "-c", SERVER, then]
        self.reaper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self.reaper.stdin is not None
        assert self.reaper.stdout is not None
        self.server, self.engine = map(
            psutil.Process, map(int, self.reaper.stdout.readline().split())
        )
        # Only now may it end: who is gone has no process to look at.
        self.reaper.stdin.write("\n")
        self.reaper.stdin.flush()


@pytest.fixture
def start() -> Iterator[Callable[[str], Started]]:
    started: list[Started] = []

    def begin(then: str) -> Started:
        started.append(Started(then))
        return started[-1]

    yield begin
    for each in started:
        for process in (each.server, each.engine):
            if process.is_running():
                process.kill()
        each.reaper.kill()
        each.reaper.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_server_that_is_killed_takes_its_engine_along(
    start: Callable[[str], Started], number: signal.Signals
) -> None:
    started = start("time.sleep(600)")
    started.server.send_signal(number)
    assert (started.reaper.wait(), started.engine.is_running()) == (-number, False)


@pytest.mark.parametrize("status", [0, 3])
def test_the_status_of_the_server_is_passed_on(
    start: Callable[[str], Started], status: int
) -> None:
    started = start(f"sys.exit({status})")
    assert (started.reaper.wait(), started.engine.is_running()) == (status, False)


def test_a_server_has_its_time_to_end(start: Callable[[str], Started]) -> None:
    """supervisord tells all of the group; the engine here is of another, as none of vLLM's is."""
    started = start(
        "import signal; signal.signal(15, lambda *_: (time.sleep(0.5), os._exit(7))); "
        "print('ready', flush=True); time.sleep(600)"
    )
    assert started.reaper.stdout is not None
    started.reaper.stdout.readline()
    os.killpg(started.reaper.pid, signal.SIGTERM)
    assert (started.reaper.wait(), started.engine.is_running()) == (7, False)


def test_a_server_whose_reaper_is_killed_is_told_to_end(
    start: Callable[[str], Started], eventually: Eventually
) -> None:
    started = start("time.sleep(600)")
    started.reaper.kill()
    eventually(lambda: not started.server.is_running())


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(reaper.__file__)), str(tmp_path / "gone")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "FileNotFoundError" in ended.stderr) == (127, True)
