"""The ports of a switch on the systems themselves: libvirt, Kubernetes, Slurm."""

from dataclasses import dataclass
from functools import partial

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.gpus.inventory import machine_of
from cloud_assets.machines.gpus.ports import Say
from cloud_assets.machines.gpus.switch import Node
from resources.errors import DeadlineExceeded, UsageError
from resources.kubernetes import Kind, Kubernetes, Object, nodes
from resources.libvirt import Connection, Identity, domains, holder, observation
from resources.slurm import Node as SlurmNode
from resources.slurm import Slurm

#: What begins the reason of a Slurm node that we closed; others' stay closed.
OURS = "ai-how: "


@dataclass(frozen=True)
class LibvirtMachines:
    """Machines of the file as domains, each by its name and our UUID of it."""

    connection: Connection
    desired: Desired
    shutdown_seconds: float

    def holder(self, address: str) -> str | None:
        found = holder(self.connection, address)
        return None if found is None else found.name

    def is_active(self, machine: str) -> bool:
        found = observation.domain(self.connection, machine)
        return found is not None and found.is_active

    def start(self, machine: str) -> None:
        domains.start(self.connection, self._identity(machine))

    def stop(self, machine: str, say: Say) -> None:
        identity = self._identity(machine)
        try:
            domains.shutdown(self.connection, identity, timeout_seconds=self.shutdown_seconds)
        except DeadlineExceeded:
            say(
                f"{machine} does not shut down within {self.shutdown_seconds:g} s, so it is cut off"
            )
            domains.destroy(self.connection, identity)

    def _identity(self, machine: str) -> Identity:
        found = machine_of(self.desired, machine)
        if found is None:
            raise UsageError(f"no machine is called `{machine}`")
        return Identity(found.name, found.uuid)


@dataclass(frozen=True)
class KubernetesNodes:
    """Nodes of the cloud cluster. Seconds are those that a node may take."""

    kubernetes: Kubernetes
    drain_seconds: float
    ready_seconds: float

    def of(self, machine: Machine) -> Node:
        """The node that the machine is."""
        found = self.kubernetes.listed(Kind("v1", "Node"))
        name = next((each["metadata"]["name"] for each in found if is_node_of(machine, each)), "")
        return Node(name, "" if name else "Kubernetes has no node of that name or address")

    def empty(self, node: str, because: str, say: Say) -> None:
        nodes.drain(
            self.kubernetes, node, because=because, timeout_seconds=self.drain_seconds,
            progress=partial(_told, say, node),
        )  # fmt: skip

    def admit(self, node: str) -> None:
        nodes.uncordon(self.kubernetes, node)

    def wait_ready(self, node: str, say: Say) -> None:
        say(f"{node} has {self.ready_seconds:g} s to become ready")
        nodes.wait_ready(self.kubernetes, node, timeout_seconds=self.ready_seconds)


@dataclass(frozen=True)
class SlurmNodes:
    """Nodes of the HPC cluster. Seconds are those that a node may take."""

    slurm: Slurm
    drain_seconds: float
    ready_seconds: float

    def of(self, machine: Machine) -> Node:
        """The node that the machine is."""
        found = self.slurm.nodes()
        name = next((each.name for each in found if is_slurm_node_of(machine, each)), "")
        return Node(name, "" if name else "Slurm has no node of that name or address")

    def empty(self, node: str, because: str, say: Say) -> None:
        self.slurm.drain(node, OURS + because)
        self.slurm.wait_drained(
            node, timeout_seconds=self.drain_seconds, progress=partial(_told, say, node)
        )

    def admit(self, node: str) -> None:
        found = self.slurm.node(node)
        # A node that was away for long is written off by Slurm itself, with a reason of its own.
        if found and (found.reason.startswith(OURS) or not found.takes_no_jobs):
            self.slurm.resume(node)

    def wait_ready(self, node: str, say: Say) -> None:
        self.slurm.wait_ready(
            node, timeout_seconds=self.ready_seconds, progress=partial(_told, say, node)
        )


def is_slurm_node_of(machine: Machine, node: SlurmNode) -> bool:
    """Whether the node of Slurm is the machine, by its name or its address."""
    names = {machine.name, machine.hostname, str(machine.ip)}
    return bool({node.name, node.address} & names)


def _told(say: Say, node: str, _seconds: float, what: str) -> None:
    say(f"{node}: {what}")


def is_node_of(machine: Machine, node: Object) -> bool:
    """Whether the node of Kubernetes is the machine, by its name or its address."""
    listed = (node.get("status") or {}).get("addresses") or ()
    addresses = {each.get("address") for each in listed}
    known = {machine.name, machine.hostname}
    return node["metadata"]["name"] in known or str(machine.ip) in addresses
