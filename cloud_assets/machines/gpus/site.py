"""The host of the machines with the schedulers of their clusters; nothing is asked of them yet."""

from dataclasses import dataclass, replace
from functools import cached_property

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.gpus.adapters import KubernetesNodes, LibvirtMachines, SlurmNodes
from cloud_assets.machines.gpus.execution import Ports, Record, execute
from cloud_assets.machines.gpus.inventory import Gpu, cluster_of, inventory
from cloud_assets.machines.gpus.ports import AS_SET, Draining, Say
from cloud_assets.machines.gpus.switch import Node, Switch, parties, planned
from cloud_assets.machines.power.schedulers import NO_KUBERNETES, NO_SLURM, Schedulers
from cloud_assets.machines.spec import desired
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Clusters
from resources.errors import ExternalError
from resources.host.holders import holders
from resources.libvirt import Connection, Observation, observe


@dataclass(frozen=True)
class GpuSite:
    """What the file asks for, and how to reach what there is."""

    settings: Settings
    desired: Desired

    @classmethod
    def of(cls, settings: Settings, clusters: Clusters) -> "GpuSite":
        return cls(settings, desired(clusters, settings.machines))

    @cached_property
    def connection(self) -> Connection:
        return Connection(self.settings.machines.uri)

    @cached_property
    def kubernetes(self) -> KubernetesNodes | None:
        return Schedulers(self.settings).kubernetes

    @cached_property
    def slurm(self) -> SlurmNodes | None:
        return Schedulers(self.settings).slurm

    def look(self) -> tuple[Observation, tuple[Gpu, ...]]:
        """What libvirt has now, and the GPUs of it."""
        seen = observe(self.connection)
        # Only programs of this machine are seen, so only its own GPUs are asked for.
        processes = holders() if ":///" in self.settings.machines.uri else {}
        return seen, inventory(self.desired, seen, processes)

    def plan(self, gpu: str, to: str, draining: Draining = AS_SET) -> Switch:
        """The steps of a switch from what there is now."""
        seen, gpus = self.look()
        nodes = {
            each.name: self._node(each.name, draining)
            for each in parties(to, desired=self.desired, seen=seen)
        }
        return planned(gpu, to, desired=self.desired, gpus=gpus, seen=seen, nodes=nodes)

    def carry_out(
        self, switch: Switch, *, because: str, say: Say, draining: Draining = AS_SET
    ) -> tuple[Record, ...]:
        """Take the steps. Raises SwitchFailed once the former owner was put back."""
        machines = LibvirtMachines(
            self.connection, self.desired, self.settings.machines.shutdown_timeout_seconds
        )
        found = {"hpc": self.slurm, "cloud": self.kubernetes}
        nodes = {
            kind: each
            if draining.seconds is None
            else replace(each, drain_seconds=draining.seconds)
            for kind, each in found.items()
            if each is not None
        }
        ports = Ports(machines, nodes)
        return execute(switch, ports, because=because, say=say, force=draining.force)

    def _node(self, name: str, draining: Draining) -> Node:
        try:
            return self._known(name)
        except ExternalError as error:
            if not draining.force:
                raise
            return Node("", str(error))

    def _known(self, name: str) -> Node:
        cluster = cluster_of(self.desired, name)
        machine = next(each for each in self.desired.machines if each.name == name)
        if cluster is not None and cluster.kind == "hpc":
            return self.slurm.of(machine) if self.slurm else Node("", NO_SLURM)
        return self.kubernetes.of(machine) if self.kubernetes else Node("", NO_KUBERNETES)
