"""The cell: one set of namespaces (processes, mounts, network, names) that holds the cluster.

The kernel ends all that is in it with its first process, so nothing can be left behind.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

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
    cgroups.make(places.cgroup, _SYSTEM_GROUP, *groups)
    with places.log.open("wb") as log:
        # It leaves its parent at once: the cell outlives whoever asks for it.
        subprocess.run(
            ["setsid", "--fork", "unshare", "--fork", "--kill-child", "--pid", "--mount",
             "--mount-proc", "--net", "--uts", "--ipc", sys.executable, "-m",
             "tests.testbed.run.cell_init", str(places.home)],
            cwd=pins.REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, MARKER: str(places.home)}, check=True,
        )  # fmt: skip
    network.join_host(_first_process(places))
    supervisor = Supervisor(places.home)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not supervisor.is_running():
        if time.monotonic() > deadline or not is_running(places):
            raise _failure(places)
        time.sleep(0.05)
    return supervisor


def is_running(places: Places) -> bool:
    return bool(processes.marked(MARKER, str(places.home)))


def end(places: Places) -> list[int]:
    """Kill the cell with everything in it and take away its traces; the ended processes."""
    victims = processes.marked(MARKER, str(places.home))
    ended = processes.end(victims, grace_seconds=0)
    cgroups.remove(places.cgroup)
    network.remove_link()
    return ended


def _first_process(places: Places) -> int:
    """The one whose parent is `unshare`, as the host numbers it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for each in processes.marked(MARKER, str(places.home)):
            with suppress(psutil.NoSuchProcess):
                parent = each.parent()
                if parent is not None and parent.name() == "unshare":
                    return int(each.pid)
        time.sleep(0.02)
    raise _failure(places)


def _failure(places: Places) -> PermanentError:
    said = places.log.read_text("utf-8", "replace").strip()[-2000:]
    return PermanentError("the testbed", "start its cell", said or "it ended without a word")
