"""Nodes are emptied before their machines go off together, and opened again once they are back.

Pods are started again by Kubernetes once there are nodes, so what will not end is left to its
kubelet. What a job of Slurm has done is lost with its node, so while one runs nothing is stopped.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from cloud_assets.machines.applying.progress import Listener, Step
from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.gpus.adapters import OURS, KubernetesNodes, SlurmNodes
from cloud_assets.machines.power.schedulers import NO_KUBERNETES, NO_SLURM, Schedulers
from resources.errors import DeadlineExceeded, ExternalError, NeedsRepair, TransientError
from resources.kubernetes import nodes

_POLL_SECONDS = 2.0
#: Slurm's own words for a node that was away; whoever closes one by hand gives others.
_OF_SLURM = frozenset({"Not responding", "Node unexpectedly rebooted"})


def empty(
    cluster: Cluster, active: Sequence[Machine], schedulers: Schedulers, *, because: str,
    told: Listener,
) -> Mapping[str, str]:  # fmt: skip
    """Have the nodes of these machines without work; what is left of it, each with why.

    Raises NeedsRepair, once the nodes are open again, where jobs of Slurm do not end in time. A
    scheduler that does not answer is told, and left out.
    """
    workers = [each for each in active if each != cluster.machines[0]]
    try:
        if not workers:
            return {}
        if cluster.kind == "hpc":
            _empty_slurm(cluster, workers, schedulers.slurm, because=because, told=told)
            return {}
        return _empty_kubernetes(cluster, workers, schedulers.kubernetes, because, told)
    except DeadlineExceeded as error:
        raise NeedsRepair(
            error.system, error.action, error.reason,
            hint=f"{error.hint}; `--no-drain` stops it all the same",
        ) from error  # fmt: skip
    except ExternalError as error:
        told(Step(cluster.name, "drain", f"left out: {error}"))
        return {}


def open_again(
    cluster: Cluster, active: Sequence[Machine], schedulers: Schedulers, *, patience: float,
    told: Listener,
) -> None:  # fmt: skip
    """Open those nodes of these machines that we closed; a scheduler has `patience` to answer."""
    began = time.monotonic()
    while active:
        try:
            _open(cluster, active, schedulers, told)
            return
        except TransientError as error:
            if time.monotonic() - began >= patience:
                told(Step(cluster.name, "open", f"left out: {error}"))
                return
        except ExternalError as error:
            told(Step(cluster.name, "open", f"left out: {error}"))
            return
        time.sleep(min(_POLL_SECONDS, patience))


def _empty_kubernetes(
    cluster: Cluster, workers: Sequence[Machine], asked: KubernetesNodes | None, because: str,
    told: Listener,
) -> Mapping[str, str]:  # fmt: skip
    if asked is None:
        told(Step(cluster.name, "drain", f"left out: {NO_KUBERNETES}"))
        return {}
    names = [name for each in workers if (name := asked.of(each).name)]
    if not names:
        return {}
    for each in names:
        told(Step(cluster.name, "drain", f"node {each}"))
    left = nodes.vacate(
        asked.kubernetes, names, because=because, timeout_seconds=asked.drain_seconds,
        progress=_Waiting(told, cluster.name),
    )  # fmt: skip
    for pod, why in left.items():
        told(Step(cluster.name, "drain", f"leaves the pod {pod}: {why}"))
    return left


def _empty_slurm(
    cluster: Cluster, workers: Sequence[Machine], asked: SlurmNodes | None, *, because: str,
    told: Listener,
) -> None:  # fmt: skip
    if asked is None:
        told(Step(cluster.name, "drain", f"left out: {NO_SLURM}"))
        return
    names = [name for each in workers if (name := asked.of(each).name)]
    began = time.monotonic()
    with ExitStack() as undo:
        for name in names:
            told(Step(cluster.name, "drain", f"node {name}"))
            if asked.slurm.drain(name, OURS + because):
                undo.callback(asked.slurm.resume, name)
        for name in names:
            left = asked.drain_seconds - (time.monotonic() - began)
            asked.slurm.wait_drained(
                name, timeout_seconds=max(left, 0.0), progress=_Waiting(told, cluster.name)
            )
        undo.pop_all()


def _open(
    cluster: Cluster, active: Sequence[Machine], schedulers: Schedulers, told: Listener
) -> None:
    for each in active:
        if cluster.kind == "hpc":
            opened = _open_slurm(each, schedulers.slurm)
        else:
            opened = _open_kubernetes(each, schedulers.kubernetes)
        if opened:
            told(Step(each.name, "open", f"node {opened}"))


def _open_kubernetes(machine: Machine, asked: KubernetesNodes | None) -> str:
    """The node, where it had to be opened."""
    name = asked.of(machine).name if asked else ""
    return name if asked and name and nodes.uncordon(asked.kubernetes, name) else ""


def _open_slurm(machine: Machine, asked: SlurmNodes | None) -> str:
    """The node, where it had to be opened."""
    name = asked.of(machine).name if asked else ""
    found = asked.slurm.node(name) if asked and name else None
    if asked is None or found is None:
        return ""
    is_down = "DOWN" in found.states
    is_closed = (found.takes_no_jobs or is_down) and found.reason.startswith(OURS)
    is_written_off = is_down and found.reason in _OF_SLURM
    return name if (is_closed or is_written_off) and asked.slurm.resume(name) else ""


@dataclass
class _Waiting:
    """Tells what is waited for as often as that changes."""

    told: Listener
    name: str
    last: str = ""

    def __call__(self, _seconds: float, what: str) -> None:
        if what != self.last:
            self.last = what
            self.told(Step(self.name, "drain", f"waits: {what}"))
