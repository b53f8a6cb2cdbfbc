"""A world for switches: machines with devices, nodes open or closed; each call may fail."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud_assets.machines.gpus.execution import Ports
from cloud_assets.machines.gpus.ports import Say
from resources.errors import ExternalError, NeedsRepair


@dataclass
class World:
    """`fails` are the numbers of calls that raise; with `halfway` they take effect before that."""

    wants: Mapping[str, tuple[str, ...]]
    active: set[str]
    closed: set[str] = field(default_factory=set)
    fails: Mapping[int, BaseException] = field(default_factory=dict)
    halfway: bool = False
    calls: list[str] = field(default_factory=list)
    #: Machines that are off for a switch, with who it was for.
    noted: dict[str, str] = field(default_factory=dict)

    def ports(self) -> Ports:
        nodes = _Nodes(self)
        return Ports(_Machines(self), {"hpc": nodes, "cloud": nodes}, release_seconds=0.0)

    def call(self, name: str, add: set[str] | None = None, take: set[str] | None = None,
             on: set[str] | None = None) -> None:  # fmt: skip
        """One that changes `on` by what it adds and takes."""
        self.calls.append(name)
        error = self.fails.get(len(self.calls))
        if on is not None and (error is None or self.halfway):
            on |= add or set()
            on -= take or set()
        if error is not None:
            raise error

    def holder(self, address: str) -> str | None:
        return next((each for each in sorted(self.active) if address in self.wants[each]), None)


def refusal(text: str = "out of order") -> ExternalError:
    return NeedsRepair("the world", "do that", text, hint="mend it")


@dataclass
class _Machines:
    world: World

    def holder(self, address: str) -> str | None:
        self.world.call(f"holder {address}")
        return self.world.holder(address)

    def is_active(self, machine: str) -> bool:
        return machine in self.world.active

    def start(self, machine: str) -> None:
        taken = {self.world.holder(each) for each in self.world.wants[machine]} - {None, machine}
        if taken:
            raise refusal(f"PCI device is in use by {taken}")
        self.world.call(f"start {machine}", add={machine}, on=self.world.active)
        self.world.noted.pop(machine, None)

    def stop(self, machine: str, say: Say) -> None:
        self.world.call(f"stop {machine}", take={machine}, on=self.world.active)

    def note(self, machine: str, gpu: str, to: str) -> None:
        self.world.call(f"note {machine}")
        self.world.noted[machine] = to

    def forget(self, machine: str) -> None:
        self.world.noted.pop(machine, None)


@dataclass
class _Nodes:
    world: World

    def empty(self, node: str, because: str, say: Say) -> None:
        self.world.call(f"empty {node}", add={node}, on=self.world.closed)

    def leave(self, node: str, because: str) -> None:
        self.world.call(f"leave {node}")

    def admit(self, node: str) -> None:
        self.world.call(f"admit {node}", take={node}, on=self.world.closed)

    def wait_ready(self, node: str, say: Say) -> None:
        self.world.call(f"ready {node}")
