"""The state of one slot, as told by supervisord, the health path, the port and the log together.

Each alone can lie: a process without its port stays alive, a stranger may answer on the port.
"""

from dataclasses import dataclass
from pathlib import Path

from resources.openai import readiness
from resources.process_serving.runtimes import Runtime, last_words
from resources.process_serving.slot_program import SlotRecord
from resources.serving import Slot, SlotState
from resources.supervisor import ProgramState, Supervisor

_PORT_TAKEN = "ddress already in use"


@dataclass(frozen=True)
class SlotProbe:
    """Looks at one slot; `health_seconds` bounds how long a look may take."""

    supervisor: Supervisor
    runtime: Runtime
    record: SlotRecord
    health_seconds: float = 1.0

    def look(self, process: ProgramState | None) -> Slot:
        """The slot as it is now; `process` is its program as supervisord sees it."""
        state, reason = self._judge(process)
        servable = self.record.servable
        return Slot(
            name=self.record.name,
            key=servable.key,
            digest=servable.digest,
            model_name=servable.name,
            runtime=servable.runtime,
            url=self.record.url,
            state=state,
            reason=reason,
            since=process.since if process is not None and process.is_up else 0.0,
        )

    def process(self) -> ProgramState | None:
        """The slot's program as supervisord sees it now."""
        found = (it for it in self.supervisor.programs() if it.name == self.record.name)
        return next(found, None)

    @property
    def log(self) -> Path:
        return self.supervisor.log(self.record.name)

    def was_killed(self) -> bool:
        return self.supervisor.was_killed(self.record.name)

    def words(self) -> str:
        return last_words(self.supervisor.tail(self.record.name, 400), self.runtime.noise)

    def port_is_taken(self, process: ProgramState | None) -> bool:
        """Whether the server had to do without its port, alive or not."""
        lines = self.supervisor.tail(self.record.name, 60)
        refused = any(_PORT_TAKEN in line for line in lines)
        return refused and not (process is not None and process.is_up and self._listens(process))

    def _judge(self, process: ProgramState | None) -> tuple[SlotState, str]:
        if process is None or process.state in ("STOPPED", "UNKNOWN"):
            return SlotState.FAILED, "supervisord does not run it"
        if process.state == "FATAL":
            return SlotState.FAILED, process.spawn_error + ": " + self.words()
        if not process.is_up:
            return SlotState.STARTING, self.words()
        status = readiness.health(
            self.record.url, self.runtime.health_path, timeout_seconds=self.health_seconds
        )
        if status is None and self.port_is_taken(process):
            return SlotState.FAILED, f"another program holds port {self.record.port}"
        if status is None:
            return SlotState.STARTING, "its health path does not answer yet"
        return self._judge_answer(status, process)

    def _judge_answer(self, status: int, process: ProgramState) -> tuple[SlotState, str]:
        if not self._listens(process):
            return SlotState.FAILED, f"another program listens on port {self.record.port}"
        if status != 200:
            return SlotState.FAILED, f"its health path answers {status}: {self.words()}"
        return SlotState.READY, ""

    def _listens(self, process: ProgramState) -> bool:
        from resources.supervisor import processes

        return processes.listens(process.pid, self.record.port)
