"""Runs a server, `python reaper.py COMMAND ARGUMENT…`, and ends with it all that it has started.

vLLM's engine outlives an API server that is killed, and keeps the GPU's memory from the next one
(vllm-project/vllm#55510, open as of 0.28). On Linux such orphans come to this process. A program of
its own, so that a slot does not wait for more than the interpreter.
"""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> None:
    """Run `command` and end as it did, by its exit status or its signal."""
    adopts = _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # supervisord tells the whole group to end; this process waits for what the server makes of it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    status = _wait(_start(command))
    if adopts:
        _end_orphans()
    if os.WIFSIGNALED(status):
        # The same end as the server's: who looks for the cause sees the signal.
        with suppress(OSError):  # SIGKILL has no other.
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.waitstatus_to_exitcode(status))


def _start(command: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # Where this process is killed, the server ends in its own way, which takes its engine along.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(127)


def _wait(pid: int) -> int:
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return status


def _end_orphans() -> None:
    """Kill what the server left; the children of those that end become this process' own."""
    import psutil

    while orphans := psutil.Process().children(recursive=True):
        for each in orphans:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _prctl(option: int, value: int) -> bool:
    """Whether the kernel took it; other systems than Linux have no such call."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


if __name__ == "__main__":
    main(sys.argv[1:])
