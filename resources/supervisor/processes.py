"""The processes of this machine: finding those that carry a marker, and ending them.

What is a platform's process is told by its environment, which children inherit.
"""

import logging
import os
import time

import psutil

# The kernel may need a moment to take a killed process away.
_REAPING_SECONDS = 5.0

_log = logging.getLogger(__name__)


def marked(variable: str, value: str) -> list[psutil.Process]:
    """This user's processes with `variable=value` in their environment.

    The caller and its ancestors are left out, so that a supervised caller never ends itself.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _carries(process, variable, value)
    ]


def end(processes: list[psutil.Process], *, grace_seconds: float) -> list[int]:
    """End the processes and all their children: TERM, a wait, then KILL. Returns the ids.

    Without any grace they are killed at once and not told before.
    """
    victims = {each.pid: each for process in processes for each in _with_children(process)}
    victims.pop(os.getpid(), None)
    if grace_seconds:
        for process in victims.values():
            _signal(process, kill=False)
    alive = _still_running(list(victims.values()), grace_seconds)
    for process in alive:
        _log.info("process %d did not end in %.0f s and is killed", process.pid, grace_seconds)
        _signal(process, kill=True)
    _still_running(alive, _REAPING_SECONDS)
    return sorted(victims)


def listens(pid: int, port: int) -> bool:
    """Whether the process or one of its children listens on the TCP port."""
    try:
        family = _with_children(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
    return any(port in _listening_ports(process) for process in family)


def _still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that run on after `seconds`. An orphan's zombie, which its parent may never reap, has
    ended; psutil.wait_procs would wait for it."""
    deadline = time.monotonic() + seconds
    while processes and time.monotonic() < deadline:
        time.sleep(0.02)
        processes = [process for process in processes if _runs(process)]
    return processes


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _carries(process: psutil.Process, variable: str, value: str) -> bool:
    try:
        return (
            process.uids().real == os.getuid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get(variable) == value
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        _log.debug("process %d was gone before its signal", process.pid)


def _listening_ports(process: psutil.Process) -> set[int]:
    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return set()
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
