"""The cell: one set of namespaces (processes, mounts, network, names) that holds the cluster.

The kernel ends all that is in it with its first process, so nothing can be left behind.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from resources.errors import PermanentError
from resources.supervisor import MARKER, Supervisor, processes
from tests.testbed import pins
from tests.testbed.run import cgroups, network
from tests.testbed.run.places import Places

_PATIENCE_SECONDS = 60.0
_SYSTEM_GROUP = "system"


def start(places: Places, *, groups: Sequence[str]) -> Supervisor:
    """Start the cell and its first programs, with the cgroups that its nodes are to use.

    Raises PermanentError with the cell's log when it fails.
    """
    cgroups.make(_SYSTEM_GROUP, *groups)
    with places.log.open("wb") as log:
        outer = subprocess.Popen(
            ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net",
             "--uts", "--ipc", sys.executable, "-m", "tests.testbed.run.cell_init",
             str(places.home)],
            cwd=pins.REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, MARKER: str(places.home)}, start_new_session=True,
        )  # fmt: skip
    network.join_host(_first_process(outer, places))
    supervisor = Supervisor(places.home)
    _until_up(supervisor, outer, places)
    return supervisor


def is_running(places: Places) -> bool:
    return bool(processes.marked(MARKER, str(places.home)))


def end(places: Places) -> list[int]:
    """Kill the cell with everything in it and take away its traces; the ended processes."""
    victims = processes.marked(MARKER, str(places.home))
    ended = processes.end(victims, grace_seconds=0)
    cgroups.remove()
    network.remove_link()
    return ended


def _first_process(outer: "subprocess.Popen[bytes]", places: Places) -> int:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and outer.poll() is None:
        children = psutil.Process(outer.pid).children()
        if children:
            return int(children[0].pid)
        time.sleep(0.01)
    raise _failure(places)


def _until_up(supervisor: Supervisor, outer: "subprocess.Popen[bytes]", places: Places) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not supervisor.is_running():
        if time.monotonic() > deadline or outer.poll() is not None:
            raise _failure(places)
        time.sleep(0.05)


def _failure(places: Places) -> PermanentError:
    said = places.log.read_text("utf-8", "replace").strip()[-2000:]
    return PermanentError("the testbed", "start its cell", said or "it ended without a word")
