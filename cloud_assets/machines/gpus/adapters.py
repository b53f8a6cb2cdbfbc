"""The ports of a switch on the systems themselves: libvirt, Kubernetes, Slurm."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from cloud_assets.machines.applying.outage import outlasting
from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.gpus.inventory import machine_of
from cloud_assets.machines.gpus.ports import Say
from cloud_assets.machines.gpus.switch import Node
from resources.errors import DeadlineExceeded, UsageError
from resources.kubernetes import Kind, Kubernetes, Object, Reference, nodes
from resources.kubernetes.conditions import is_lost
from resources.libvirt import Connection, Identity, domains, holder, observation
from resources.slurm import Node as SlurmNode
from resources.slurm import Slurm

#: What begins the reason of a Slurm node that we closed; others' stay closed.
OURS = "ai-how: "
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class LibvirtMachines:
    """Machines of the file as domains, each by its name and our UUID of it."""

    connection: Connection
    desired: Desired
    shutdown_seconds: float

    def holder(self, address: str) -> str | None:
        found = outlasting(partial(holder, self.connection, address))
        return None if found is None else found.name

    def is_active(self, machine: str) -> bool:
        found = outlasting(partial(observation.domain, self.connection, machine))
        return found is not None and found.is_active

    def start(self, machine: str) -> None:
        outlasting(partial(domains.start, self.connection, self._identity(machine)))

    def stop(self, machine: str, say: Say) -> None:
        identity, seconds = self._identity(machine), self.shutdown_seconds
        press = partial(domains.shutdown, self.connection, identity, timeout_seconds=seconds)
        try:
            outlasting(press)
        except DeadlineExceeded:
            say(f"{machine} does not shut down within {seconds:g} s, so it is cut off")
            outlasting(partial(domains.destroy, self.connection, identity))

    def note(self, machine: str, gpu: str, to: str) -> None:
        words = {"gpu": gpu, "to": to}
        outlasting(partial(domains.note, self.connection, self._identity(machine), words))

    def forget(self, machine: str) -> None:
        outlasting(partial(domains.note, self.connection, self._identity(machine), None))

    def _identity(self, machine: str) -> Identity:
        found = machine_of(self.desired, machine)
        if found is None:
            raise UsageError(f"no machine is called `{machine}`")
        return Identity(found.name, found.uuid)


@dataclass(frozen=True)
class KubernetesNodes:
    """Nodes of the cloud cluster. Seconds are those that a node may take.

    `names` has the nodes of machines that go by another name.
    """

    kubernetes: Kubernetes
    drain_seconds: float
    ready_seconds: float
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, machine: Machine) -> Node:
        """The node that the machine is."""
        for each in self.kubernetes.listed(Kind("v1", "Node")):
            if self.is_of(machine, each):
                annotations = each["metadata"].get("annotations") or {}
                ready = nodes.CLOSED_BECAUSE not in annotations and not is_lost(each)
                return Node(each["metadata"]["name"], is_ready=ready)
        return _unknown("Kubernetes", "kubernetes", self.names.get(machine.name))

    def is_of(self, machine: Machine, node: Object) -> bool:
        """Whether the node is the machine: as `names` says, else by its name or its address."""
        name, named = node["metadata"]["name"], self.names.get(machine.name)
        if named is not None:
            return bool(name == named)
        listed = (node.get("status") or {}).get("addresses") or ()
        addresses = {each.get("address") for each in listed}
        return name in {machine.name, machine.hostname} or str(machine.ip) in addresses

    def empty(self, node: str, because: str, say: Say) -> None:
        say(f"{node} has {self.drain_seconds:g} s to become empty")
        nodes.drain(
            self.kubernetes, node, because=because, timeout_seconds=self.drain_seconds,
            progress=_news(say, node),
        )  # fmt: skip

    def leave(self, node: str, because: str) -> None:
        """Nothing is written down: `wait_ready` tells what is new from what is old."""

    def admit(self, node: str) -> None:
        nodes.uncordon(self.kubernetes, node)

    def wait_ready(self, node: str, say: Say) -> None:
        say(f"{node} has {self.ready_seconds:g} s to become ready")
        began, before = time.monotonic(), self._heard_of(node)
        # One that went off less than a minute ago still counts as ready.
        while before and self._heard_of(node) == before:
            if time.monotonic() - began > self.ready_seconds:
                reason = f"nothing is heard of its kubelet after {self.ready_seconds:g} s"
                hint = "see the console of its machine"
                raise DeadlineExceeded("Kubernetes", f"see {node} ready", reason, hint=hint)
            time.sleep(_POLL_SECONDS)
        left = max(1.0, self.ready_seconds - (time.monotonic() - began))
        nodes.wait_ready(self.kubernetes, node, timeout_seconds=left)

    def _heard_of(self, node: str) -> str:
        """When its kubelet was last heard of, "" where that is not kept."""
        lease = Reference("coordination.k8s.io/v1", "Lease", node, "kube-node-lease")
        found = self.kubernetes.get(lease) or {}
        return str((found.get("spec") or {}).get("renewTime", ""))


@dataclass(frozen=True)
class SlurmNodes:
    """Nodes of the HPC cluster. Seconds are those that a node may take.

    `names` has the nodes of machines that go by another name.
    """

    slurm: Slurm
    drain_seconds: float
    ready_seconds: float
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, machine: Machine) -> Node:
        """The node that the machine is."""
        for each in self.slurm.nodes():
            if self.is_of(machine, each):
                is_ours = each.takes_no_jobs and each.reason.startswith(OURS)
                return Node(each.name, is_ready=not (is_ours or each.is_away))
        return _unknown("Slurm", "slurm", self.names.get(machine.name))

    def is_of(self, machine: Machine, node: SlurmNode) -> bool:
        """Whether the node is the machine: as `names` says, else by its name or its address."""
        named = self.names.get(machine.name)
        names = {machine.name, machine.hostname, str(machine.ip)} if named is None else {named}
        return bool({node.name, node.address} & names)

    def empty(self, node: str, because: str, say: Say) -> None:
        say(f"{node} has {self.drain_seconds:g} s to become empty")
        self.slurm.drain(node, OURS + because)
        self.slurm.wait_drained(node, timeout_seconds=self.drain_seconds, progress=_news(say, node))

    def leave(self, node: str, because: str) -> None:
        # Who keeps it closed has written another reason, which stays.
        found = self.slurm.node(node)
        if found and (found.reason.startswith(OURS) or not found.takes_no_jobs):
            self.slurm.put_down(node, OURS + because)

    def admit(self, node: str) -> None:
        found = self.slurm.node(node)
        # A node that was away for long is written off by Slurm itself, with a reason of its own.
        if found and (found.reason.startswith(OURS) or not found.takes_no_jobs):
            self.slurm.resume(node)

    def wait_ready(self, node: str, say: Say) -> None:
        self.slurm.wait_ready(node, timeout_seconds=self.ready_seconds, progress=_news(say, node))


def _unknown(system: str, section: str, named: str | None) -> Node:
    if named is not None:
        return Node("", f"{system} has no node {named}, which `platform.{section}.nodes` names")
    return Node("", f"{system} has no node of that name or address")


def _news(say: Say, node: str) -> Callable[[float, str], None]:
    """Says what is waited for once, however long it is."""
    last = ""

    def told(_seconds: float, what: str) -> None:
        nonlocal last
        if what != last:
            last = what
            say(f"{node}: {what}")

    return told
