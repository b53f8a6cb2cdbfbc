"""The steps that hand a GPU over, as a plan: what is to be done, what left out and why. Pure.

drain → stop → release, for each machine that has a device of the taker; then start → ready.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.gpus.conflicts import in_the_way
from cloud_assets.machines.gpus.inventory import Gpu, cluster_of, machine_of
from resources.errors import NeedsRepair, UsageError
from resources.libvirt import Observation, noted

SYSTEM = "the switch"
Action = Literal["drain", "stop", "release", "start", "ready"]
_SCHEDULER = {"hpc": "Slurm", "cloud": "Kubernetes"}


@dataclass(frozen=True)
class Node:
    """A machine as its scheduler knows it; `name` is "" where it does not, and `why` says so.

    `is_ready` is False where a switch closed it, or nothing is heard of it.
    """

    name: str
    why: str = ""
    is_ready: bool = True


@dataclass(frozen=True)
class Step:
    """One step; a `skipped` one says why nothing is done. `devices` are those waited for."""

    action: Action
    machine: str
    text: str
    node: str = ""
    kind: Literal["hpc", "cloud"] | None = None
    devices: tuple[str, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class Former:
    """A machine that a switch shut down which was killed before its end, and its node."""

    machine: str
    node: str
    kind: Literal["hpc", "cloud"]


@dataclass(frozen=True)
class Switch:
    """`givers` have devices of the taker now; no steps where it has all of them already.

    `formers` had them before a switch that did not end.
    """

    gpu: str
    taker: str
    givers: tuple[str, ...]
    steps: tuple[Step, ...]
    formers: tuple[Former, ...] = ()

    @property
    def owed(self) -> tuple[Former, ...]:
        """Those that are started again if this one fails; the givers come first."""
        return () if self.givers else self.formers


def planned(
    gpu: str,
    to: str,
    *,
    desired: Desired,
    gpus: Sequence[Gpu],
    seen: Observation,
    nodes: Mapping[str, Node],
) -> Switch:
    """The steps from what is seen to `to` having the GPU.

    `nodes` has the machines that a scheduler was asked of. Raises UsageError for machines and
    GPUs that do not go together, NeedsRepair for what no switch can put right.
    """
    taker = _taker(gpu, to, desired)
    givers = _givers(taker, desired, seen)
    formers = tuple(_former(each, desired, nodes) for each in _left_off(taker, desired, seen))
    coming = _coming(taker, desired, nodes)
    if _has_all(taker, desired, seen):
        is_open = nodes.get(to, Node("")).is_ready
        # What was killed after the start has not waited for the node.
        return Switch(gpu, to, (), coming if formers else () if is_open else coming[1:], formers)
    _require_fit(taker, gpus)
    steps = [step for each in givers for step in _leaving(each, taker, desired, nodes)]
    return Switch(gpu, to, tuple(each.name for each in givers), (*steps, *coming), formers)


def parties(to: str, *, desired: Desired, seen: Observation) -> tuple[Machine, ...]:
    """The machines whose nodes a plan asks for: the taker, who has devices of it, or had them."""
    taker = machine_of(desired, to)
    if taker is None:
        return ()
    held = (seen.holder(each) for each in taker.hostdevs)
    names = dict.fromkeys(each.name for each in held if each is not None)
    found = (machine_of(desired, each) for each in names if each != to)
    others = {each.name: each for each in found if each is not None}
    others |= {each.name: each for each in _left_off(taker, desired, seen)}
    return (taker, *others.values())


def _taker(gpu: str, to: str, desired: Desired) -> Machine:
    taker = machine_of(desired, to)
    users = [each.name for each in desired.users().get(gpu, ())]
    if taker is None:
        told = ", ".join(users) or "no machine"
        raise UsageError(f"no machine is called `{to}`", hint=f"GPU {gpu} may go to {told}")
    if to not in users:
        hint = f"it may go to {', '.join(users)}" if users else "`ai-how gpu list` lists GPUs"
        raise UsageError(f"`{to}` has no GPU {gpu} in the file", hint=hint)
    return taker


def _givers(taker: Machine, desired: Desired, seen: Observation) -> list[Machine]:
    found: dict[str, Machine] = {}
    for address in taker.hostdevs:
        domain = seen.holder(address)
        if domain is None or domain.name == taker.name:
            continue
        machine = machine_of(desired, domain.name)
        if machine is None or machine.uuid != domain.uuid:
            reason = f"GPU {address} is currently allocated to {domain.name}, none of this file"
            hint = f"stop it by hand: `virsh shutdown {domain.name}`"
            raise NeedsRepair(SYSTEM, f"give it to {taker.name}", reason, hint=hint)
        found[machine.name] = machine
    return list(found.values())


def _left_off(taker: Machine, desired: Desired, seen: Observation) -> list[Machine]:
    """Machines that are off since a switch of their devices began which has not ended."""
    found = []
    for machine in desired.machines:
        domain = seen.domain(machine.name)
        shared = set(machine.hostdevs) & set(taker.hostdevs)
        if machine.name == taker.name or domain is None or domain.is_active or not shared:
            continue
        if domain.uuid == machine.uuid and noted(domain):
            found.append(machine)
    return found


def _former(machine: Machine, desired: Desired, nodes: Mapping[str, Node]) -> Former:
    return Former(
        machine.name, nodes.get(machine.name, Node("")).name, _kind(desired, machine.name)
    )


def _has_all(taker: Machine, desired: Desired, seen: Observation) -> bool:
    """Whether the taker runs with its devices. Raises NeedsRepair unless it does or could start."""
    action = f"start {taker.name} with its GPU"
    domain = seen.domain(taker.name)
    if domain is None:
        hint = f"`ai-how {_kind(desired, taker.name)} start` makes it"
        raise NeedsRepair(SYSTEM, action, "there is no such machine yet", hint=hint)
    held = {each.address for each in domain.live.host_devices}
    if domain.is_active and not set(taker.hostdevs) <= held:
        hint = f"`ai-how vm stop {taker.name}` first; it gets its GPU as it starts"
        raise NeedsRepair(SYSTEM, action, "it runs without the GPU", hint=hint)
    return domain.is_active


def _require_fit(taker: Machine, gpus: Sequence[Gpu]) -> None:
    """Before anything is stopped for it: that it could start at all."""
    for gpu in gpus:
        if gpu.address in taker.gpus:
            for each in in_the_way(gpu, taker):
                if each.kind != "taken":
                    action = f"give {gpu.address} to {taker.name}"
                    raise NeedsRepair(SYSTEM, action, each.why, hint=f"`{each.command}`")


def _leaving(
    giver: Machine, taker: Machine, desired: Desired, nodes: Mapping[str, Node]
) -> list[Step]:
    kind = _kind(desired, giver.name)
    node = nodes.get(giver.name, Node("", "its scheduler was not asked"))
    devices = tuple(each for each in taker.hostdevs if each in giver.hostdevs)
    whose = f"{_SCHEDULER[kind]} node {node.name or giver.hostname}"
    return [
        Step(
            "drain", giver.name, f"close {whose} to new work and wait until it is empty",
            node=node.name, kind=kind, skipped=node.why,
        ),
        Step("stop", giver.name, f"shut down {giver.name}", node=node.name, kind=kind),
        Step("release", giver.name, f"wait until {', '.join(devices)} is free", devices=devices),
    ]  # fmt: skip


def _coming(taker: Machine, desired: Desired, nodes: Mapping[str, Node]) -> tuple[Step, ...]:
    kind = _kind(desired, taker.name)
    node = nodes.get(taker.name, Node("", "its scheduler was not asked"))
    whose = f"{_SCHEDULER[kind]} node {node.name or taker.hostname}"
    return (
        Step("start", taker.name, f"start {taker.name}", devices=taker.hostdevs),
        Step(
            "ready", taker.name, f"open {whose} to work and wait until it is ready",
            node=node.name, kind=kind, skipped=node.why,
        ),
    )  # fmt: skip


def _kind(desired: Desired, machine: str) -> Literal["hpc", "cloud"]:
    cluster = cluster_of(desired, machine)
    if cluster is None:
        raise UsageError(f"no machine is called `{machine}`")
    return cluster.kind
