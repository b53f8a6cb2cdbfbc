"""How many of a cluster's machines take work, as their scheduler says; it may not be there yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.power.schedulers import NO_KUBERNETES, NO_SLURM, Schedulers
from resources.errors import ExternalError
from resources.kubernetes import Kind, Object
from resources.slurm import Node

State = Literal["ready", "closed", "not ready"]


@dataclass(frozen=True)
class Readiness:
    """`nodes` by machine, those alone that the scheduler knows; `why` where it was not asked.

    `is_named` is whether the settings name it at all.
    """

    scheduler: str
    nodes: Mapping[str, State] = field(default_factory=dict)
    why: str = ""
    is_named: bool = True

    @property
    def ready(self) -> int:
        return sum(each == "ready" for each in self.nodes.values())

    def __str__(self) -> str:
        if self.why:
            return f"{self.scheduler}: {self.why}"
        if not self.nodes:
            return f"{self.scheduler}: none of the machines is a node of it"
        return f"{self.scheduler}: {self.ready}/{len(self.nodes)} nodes ready"


def readiness(cluster: Cluster, schedulers: Schedulers) -> Readiness:
    """As it is now. Who does not answer is told in `why`."""
    scheduler = "Slurm" if cluster.kind == "hpc" else "Kubernetes"
    try:
        if cluster.kind == "hpc":
            return _of_slurm(cluster.machines, schedulers)
        return _of_kubernetes(cluster.machines, schedulers)
    except ExternalError as error:
        return Readiness(scheduler, why=f"not asked, {error.reason}")


def _of_kubernetes(machines: Sequence[Machine], schedulers: Schedulers) -> Readiness:
    if schedulers.kubernetes is None:
        return Readiness("Kubernetes", why=f"skipped, {NO_KUBERNETES}", is_named=False)
    known = schedulers.kubernetes
    listed = known.kubernetes.listed(Kind("v1", "Node"))
    pairs = ((machine, node) for machine in machines for node in listed)
    found = {each.name: _state(node) for each, node in pairs if known.is_of(each, node)}
    return Readiness("Kubernetes", found)


def _of_slurm(machines: Sequence[Machine], schedulers: Schedulers) -> Readiness:
    if schedulers.slurm is None:
        return Readiness("Slurm", why=f"skipped, {NO_SLURM}", is_named=False)
    known = schedulers.slurm
    listed = known.slurm.nodes()
    pairs = ((machine, node) for machine in machines for node in listed)
    found = {each.name: _slurm_state(node) for each, node in pairs if known.is_of(each, node)}
    return Readiness("Slurm", found)


def _state(node: Object) -> State:
    said = (node.get("status") or {}).get("conditions") or ()
    is_up = any(each["type"] == "Ready" and each["status"] == "True" for each in said)
    is_closed = bool((node.get("spec") or {}).get("unschedulable"))
    return ("closed" if is_closed else "ready") if is_up else "not ready"


def _slurm_state(node: Node) -> State:
    if node.is_away:
        return "not ready"
    return "closed" if node.takes_no_jobs else "ready"
