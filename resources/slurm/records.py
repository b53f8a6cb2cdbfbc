"""What is seen of a Slurm cluster, as frozen records; moments are UTC."""

from dataclasses import dataclass
from datetime import datetime

#: A node with any of these takes no further jobs.
_CLOSED = frozenset({"DRAIN", "DRAINING", "DRAINED", "FAIL"})
_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
_AWAY = frozenset({"DOWN", "NOT_RESPONDING", "UNKNOWN", "POWERED_DOWN", "POWER_DOWN", "FUTURE"})
_PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD"})
_RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED"})


@dataclass(frozen=True)
class Node:
    """`states` are Slurm's base state and its flags in capitals; `reason` is of who closed it."""

    name: str
    states: frozenset[str]
    reason: str
    address: str
    gpus: int
    gpus_used: int
    partitions: tuple[str, ...]

    @property
    def takes_no_jobs(self) -> bool:
        """Whether it was closed: what runs on it goes on, nothing new comes."""
        return bool(self.states & _CLOSED)

    @property
    def is_away(self) -> bool:
        """Whether its slurmd is not heard of."""
        return bool(self.states & _AWAY)

    @property
    def is_busy(self) -> bool:
        """Whether jobs of it run, or are being cleared away."""
        return bool(self.states & _BUSY)

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and all jobs have left it."""
        return self.takes_no_jobs and not self.is_busy

    @property
    def is_ready(self) -> bool:
        """Whether a job could start on it, now or once another ends."""
        return not self.takes_no_jobs and not self.is_away


@dataclass(frozen=True)
class Job:
    """`gpus` is what it asks for in all; `reason` is why it waits, in Slurm's word for it."""

    number: int
    name: str
    user: str
    state: str
    reason: str
    partition: str
    nodes: str
    gpus: int
    submitted: datetime | None

    @property
    def is_pending(self) -> bool:
        return self.state in _PENDING

    @property
    def is_running(self) -> bool:
        return self.state in _RUNNING
