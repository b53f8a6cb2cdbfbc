"""supervisord for one platform home: starting it, what runs under it, ending it without a trace.

The file it reads is `supervisor_config`'s business, the wire `supervisor_client`'s.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources import atomic
from resources.errors import PermanentError, TransientError
from resources.supervisor import client as supervisor_client
from resources.supervisor import config as supervisor_config
from resources.supervisor.client import Refused, ShuttingDown
from resources.supervisor.config import DaemonFiles, Program

MARKER = "AI_HOW_SUPERVISED"
_LOCK_SECONDS = 60.0
# Longer lines make fewer of them; a log of 10 MB is never read whole for its end.
_LINE_BYTES = 400
# One program that cannot start must not keep the others from it; its state tells.
_CANNOT_START = {
    supervisor_client.ALREADY_STARTED,
    supervisor_client.NO_FILE,
    supervisor_client.NOT_EXECUTABLE,
    supervisor_client.SPAWN_ERROR,
}

_log = logging.getLogger(__name__)

__all__ = ["MARKER", "Program", "ProgramState", "Supervisor", "sweep"]


@dataclass(frozen=True)
class ProgramState:
    """A program as supervisord sees it; `state` is its word: RUNNING, BACKOFF, FATAL …

    `since` is the time of the last start or stop in seconds since 1970, 0 when never started.
    `exit_status` is -1 after a signal.
    """

    name: str
    state: str
    pid: int
    since: float
    exit_status: int
    spawn_error: str
    log: Path

    @property
    def is_up(self) -> bool:
        return self.state in ("STARTING", "RUNNING") and self.pid > 0


def sweep(home: Path, *, grace_seconds: float = 5) -> list[int]:
    """End every process that was started under `home`'s supervisord, the daemon included.

    The caller and its ancestors are spared. Returns the ids of the ended processes.
    """
    # A third of a status call's time budget would go to loading psutil.
    from resources.supervisor import processes

    ended: list[int] = []
    for _ in range(3):
        leftovers = processes.marked(MARKER, str(home.resolve()))
        if not leftovers:
            break
        ended += processes.end(leftovers, grace_seconds=grace_seconds)
    if ended:
        _log.info("ended %d processes left over under %s", len(ended), home)
    return ended


class Supervisor:
    """The supervisord of one home directory. Every call can be repeated and interrupted.

    Calls raise TransientError when the daemon does not answer.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        run = self.home / "run"
        self._lock = run / "supervisor.lock"
        self._config = run / "supervisord.conf"
        self.files = DaemonFiles(
            socket=supervisor_client.socket_path(self.home),
            pid=run / "supervisord.pid",
            logs=self.home / "logs",
        )

    def is_running(self) -> bool:
        try:
            state: Any = self._call("getState")
        except TransientError:
            return False
        return bool(state["statename"] == "RUNNING")

    def start(self, programs: Iterable[Program], *, keep: str = "") -> None:
        """Have the daemon run `programs`, starting it where it is down.

        Programs of earlier calls stay where their name starts with `keep`, which all do by
        default; the others are removed. What is left over from a killed daemon is ended first.
        """
        self._make_directories()
        with self._locked():
            wanted = {name: it for name, it in self.configured().items() if name.startswith(keep)}
            self._write(wanted | {program.name: program for program in programs})
            if self.is_running():
                self._converge()
            else:
                self._launch()

    def add(self, program: Program) -> None:
        """Run the program, anew if it differs from the one of that name or has given up."""
        with self._locked():
            self._call("getState")
            self._write({**self.configured(), program.name: program})
            self._converge()

    def remove(self, name: str) -> bool:
        """Stop the program and forget it; False when there was none. Its log stays."""
        with self._locked():
            wanted = dict(self.configured())
            known = wanted.pop(name, None) is not None
            if known:
                self._write(wanted)
            if known and self.is_running():
                self._converge()
        return known

    def restart(self, name: str) -> None:
        """Stop the program if it runs and start it. Raises PermanentError for an unknown name."""
        with self._locked():
            self._stop(name)
            self._unless({supervisor_client.ALREADY_STARTED}, "startProcess", name, False)

    def configured(self) -> Mapping[str, Program]:
        """The programs that the daemon is told to run, by name; known even when it is down."""
        try:
            text = self._config.read_text("utf-8")
        except FileNotFoundError:
            return {}
        return supervisor_config.parse(text)

    def programs(self) -> tuple[ProgramState, ...]:
        """Every program under the daemon, by name."""
        return tuple(_state(each) for each in self._call("getAllProcessInfo"))

    def log(self, name: str) -> Path:
        return self.files.log(name)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """The last lines of the program's log, at most 400 bytes each on average."""
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - lines * _LINE_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ()
        return tuple(text.splitlines()[-lines:])

    def was_killed(self, name: str) -> bool:
        """Whether the program's last end was by SIGKILL, as the daemon's own log has it.

        The program's state does not tell while it starts: supervisor.process forgets the exit.
        """
        ends = [line for line in self.tail("supervisord", 200) if f" exited: {name} (" in line]
        return bool(ends) and "terminated by SIGKILL" in ends[-1]

    def shutdown(self, *, timeout_seconds: float = 60) -> None:
        """End the daemon and all it started; the programs are run again by the next `start`."""
        if not self.home.is_dir():
            return
        self._make_directories()
        with self._locked():
            self._stop_all()
            self._end_daemon(timeout_seconds)
            # What is left lost its services: a run would report the loss as a fault of its own.
            sweep(self.home, grace_seconds=0)
            self._remove_stale_files()

    def _stop_all(self) -> None:
        """Tell all programs to end; a shutdown tells each only when the one before is gone."""
        with suppress(TransientError):
            self._call("stopAllProcesses", False)

    def _end_daemon(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        method = "shutdown"
        while time.monotonic() < deadline:
            try:
                self._call(method)
            except ShuttingDown:
                # Every call also wakes the daemon, which else looks after its programs each second.
                time.sleep(0.05)
            except TransientError:
                return
            method = "getState"
        _log.warning("supervisord did not end in %.0f s", timeout_seconds)

    def _launch(self) -> None:
        sweep(self.home)
        self._remove_stale_files()
        supervisor_client.make_private(self.files.socket.parent)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        environment = {**os.environ, MARKER: str(self.home), "PYTHONUTF8": "1"}
        try:
            # Returns once the daemon has opened its socket and left its parent.
            outcome = subprocess.run(
                command,
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError("supervisord", "start", "not up in 60 s") from error
        if outcome.returncode != 0:
            raise PermanentError("supervisord", "start", outcome.stderr.strip()[-2000:])

    def _converge(self) -> None:
        [[added, changed, removed]] = self._call("reloadConfig")
        for name in [*changed, *removed]:
            self._take_away(name)
        for name in [*added, *changed]:
            self._unless({supervisor_client.ALREADY_ADDED}, "addProcessGroup", name)
        for program in self.programs():
            if program.state in ("FATAL", "STOPPED"):
                self._unless(_CANNOT_START, "startProcess", program.name, False)

    def _take_away(self, name: str) -> None:
        while True:
            self._stop(name)
            if self._unless({supervisor_client.STILL_RUNNING}, "removeProcessGroup", name):
                return

    def _stop(self, name: str) -> None:
        # Answers when the process is gone, after `stopwaitsecs` and a KILL at the latest.
        accepted = {supervisor_client.NOT_RUNNING, supervisor_client.BAD_NAME}
        self._unless(accepted, "stopProcess", name, True)

    def _unless(self, accepted: set[int], method: str, *arguments: object) -> bool:
        """Call; False when the daemon answered with one of the accepted faults."""
        try:
            self._call(method, *arguments, timeout_seconds=120)
        except Refused as refusal:
            if refusal.code not in accepted:
                raise
            return False
        return True

    def _call(self, method: str, *arguments: object, timeout_seconds: float = 10) -> Any:
        return supervisor_client.call(
            self.files.socket, method, *arguments, timeout_seconds=timeout_seconds
        )

    def _write(self, programs: Mapping[str, Program]) -> None:
        atomic.replace(self._config, supervisor_config.render(programs.values(), self.files))

    def _locked(self) -> Any:
        return atomic.locked(self._lock, timeout_seconds=_LOCK_SECONDS)

    def _make_directories(self) -> None:
        try:
            for directory in (self.home, self._lock.parent, self.files.logs):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentError("the platform", f"use {self.home}", str(error)) from error

    def _remove_stale_files(self) -> None:
        self.files.socket.unlink(missing_ok=True)
        if self.files.socket.parent != self._lock.parent:
            # Among the machine's temporary files, where nobody else removes it.
            with suppress(OSError):
                self.files.socket.parent.rmdir()
        self.files.pid.unlink(missing_ok=True)


def _state(answer: Mapping[str, Any]) -> ProgramState:
    return ProgramState(
        name=answer["name"],
        state=answer["statename"],
        pid=answer["pid"],
        since=float(answer["start"] if answer["pid"] else answer["stop"] or answer["start"]),
        exit_status=answer["exitstatus"],
        spawn_error=answer["spawnerr"],
        log=Path(answer["stdout_logfile"]),
    )
