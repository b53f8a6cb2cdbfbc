"""Waiting for one slot until a real completion came back: the phases, the failures, the patience.

What to do with a slot that did not make it is `process_serving`'s business.
"""

import time
from typing import NoReturn

from resources.errors import DeadlineExceeded, PermanentError, TransientError
from resources.openai import readiness
from resources.process_serving.slot_probe import SlotProbe
from resources.serving import SlotState
from resources.supervisor import ProgramState

_POLL_SECONDS = 0.08
# A kill from outside is not the model's fault; more than these in one start are a loop.
_KILLS_FORGIVEN = 2


class PortTaken(Exception):
    """Another program was faster to take the port; another port will do."""


class SlotWait:
    """One wait for one slot, until `deadline` on the monotonic clock; its phases add up to it."""

    def __init__(self, probe: SlotProbe, *, deadline: float, began: float) -> None:
        self._probe = probe
        self._deadline = deadline
        self._lap_began = began
        self._pid = 0
        self._starts = 0

    def phases(self) -> dict[str, float]:
        """The seconds of `spawn`, `health` and `first_completion`, once a completion came back.

        Raises PermanentError with the server's last words when it ended or cannot serve,
        DeadlineExceeded at the deadline, PortTaken when it had to do without its port.
        """
        self._await_process()
        spawn = self._lap()
        self._await_health()
        health = self._lap()
        self._await_completion()
        return {"spawn": spawn, "health": health, "first_completion": self._lap()}

    def _await_process(self) -> None:
        while not self._process().is_up:
            self._pause()

    def _await_health(self) -> None:
        while not self._is_ready():
            self._pause()

    def _await_completion(self) -> None:
        record = self._probe.record
        patience = 2.0
        while True:
            limit = min(patience, self._remaining())
            try:
                readiness.complete(record.url, record.servable.name, timeout_seconds=limit)
            except TransientError:
                patience = min(2 * patience, 30.0)
            except PermanentError:
                # Where the server itself has failed, its log says more than its answer.
                self._is_ready()
                raise
            else:
                return
            self._await_health()
            self._pause()

    def _is_ready(self) -> bool:
        process = self._process()
        slot = self._probe.look(process)
        if slot.state is SlotState.FAILED:
            self._fail(process, slot.reason)
        return slot.state is SlotState.READY

    def _process(self) -> ProgramState:
        """The slot's process; fails when it ended by itself or was killed again and again."""
        process = self._probe.process()
        if process is None:
            self._fail(None, "supervisord does not know it")
        if process.pid and process.pid != self._pid:
            self._pid, self._starts = process.pid, self._starts + 1
        ended = not process.is_up and process.state in ("BACKOFF", "EXITED", "FATAL")
        forgiven = process.state != "FATAL" and self._probe.was_killed()
        if (ended and not forgiven) or self._starts > 1 + _KILLS_FORGIVEN:
            self._fail(process, self._probe.words())
        return process

    def _fail(self, process: ProgramState | None, reason: str) -> NoReturn:
        if self._probe.port_is_taken(process):
            raise PortTaken
        record = self._probe.record
        raise PermanentError(
            f"the slot {record.name}",
            f"serve {record.servable.location}",
            reason,
            hint=f"the whole log is {self._probe.log}",
        )

    def _pause(self) -> None:
        time.sleep(min(_POLL_SECONDS, self._remaining()))

    def _remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(
                f"the slot {self._probe.record.name}",
                "answer in time",
                self._probe.words(),
                hint="give `serving.timeout_seconds` more, or look what keeps the machine busy",
            )
        return left

    def _lap(self) -> float:
        now = time.monotonic()
        seconds, self._lap_began = now - self._lap_began, now
        return round(seconds, 4)
