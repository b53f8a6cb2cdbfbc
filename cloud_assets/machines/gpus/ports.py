"""What a switch needs of the world: machines that start and stop, and what gives them work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: Called with one sentence of what goes on.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Draining:
    """How long work may take to leave; None as the settings say. `force` goes on without that."""

    seconds: float | None = None
    force: bool = False


#: As the settings say.
AS_SET = Draining()


class Machines(Protocol):
    """The hypervisor, for machines of the file by their names."""

    def holder(self, address: str) -> str | None:
        """The domain that runs with a PCI device."""

    def is_active(self, machine: str) -> bool:
        """Whether it is on, be it paused."""

    def start(self, machine: str) -> None:
        """Start it, if it is off. Raises DeviceInUse where another has one of its devices."""

    def stop(self, machine: str, say: Say) -> None:
        """Shut it down, if it is on; cut its power once the time for that is over."""

    def note(self, machine: str, gpu: str, to: str) -> None:
        """Write down that it is off for a switch, for the one after a kill; until it starts."""

    def forget(self, machine: str) -> None:
        """Take that away: the switch has ended."""


class Nodes(Protocol):
    """What gives machines of a cluster their work: Slurm, or Kubernetes. All may be asked twice."""

    def empty(self, node: str, because: str, say: Say) -> None:
        """Close it to new work and wait until what is there has left. Raises DeadlineExceeded."""

    def leave(self, node: str, because: str) -> None:
        """Know that its machine is off, lest it be taken for ready by what was heard before."""

    def admit(self, node: str) -> None:
        """Open it to work again, unless somebody else closed it."""

    def wait_ready(self, node: str, say: Say) -> None:
        """Until work could start there. Raises DeadlineExceeded or TransientError with why not."""
