"""What keeps a machine of the file from having its GPU now, and the command that mends it. Pure.

That two clusters name the same GPU is no conflict but what the file is for; that both are to start
with it is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.gpus.allocation import Held
from cloud_assets.machines.gpus.inventory import Gpu, Party, machine_of

#: taken: another domain has it; rivals: two machines start with it; torn: its IOMMU group is not
#: whole; busy: programs of the host use it; absent: the host has no such device.
Kind = Literal["taken", "rivals", "torn", "busy", "absent"]


@dataclass(frozen=True)
class Conflict:
    """`why` is one sentence, `command` mends it; `machine` is the one that goes without."""

    gpu: str
    kind: Kind
    machine: str
    clusters: tuple[str, ...]
    why: str
    command: str


def conflicts(gpus: Sequence[Gpu], desired: Desired) -> tuple[Conflict, ...]:
    """All that stands in the way of what the file asks for, by GPU."""
    return tuple(each for gpu in gpus for each in _of(gpu, desired))


def in_the_way(gpu: Gpu, machine: Machine) -> Iterator[Conflict]:
    """What would keep a machine from starting with the GPU now, whether it is to start or not."""
    party = Party(machine.name, machine.cluster, None, is_active=False)
    if gpu.owner is not None and gpu.owner.name != machine.name:
        yield _taken(gpu, gpu.owner, party)
    yield from _unfit(gpu, machine)


def _of(gpu: Gpu, desired: Desired) -> Iterator[Conflict]:
    rivals = [each for each in gpu.wanted_by if each.starts_with_cluster]
    for party in rivals:
        if gpu.owner is not None and gpu.owner.name != party.name:
            yield _taken(gpu, gpu.owner, party)
    if gpu.owner is None and len(rivals) > 1:
        yield _rivals(gpu, rivals)
    for party in gpu.wanted_by:
        machine = machine_of(desired, party.name)
        if machine is not None:
            yield from _unfit(gpu, machine)


def _unfit(gpu: Gpu, machine: Machine) -> Iterator[Conflict]:
    """What is wrong whoever else wants it."""
    of = partial(Conflict, gpu=gpu.address, machine=machine.name, clusters=(machine.cluster,))
    name = f"`{machine.name}` of cluster `{machine.cluster}`"
    if not gpu.is_there:
        why = f"GPU {gpu.address}, which {name} wants, is not on this host"
        yield of(kind="absent", why=why, command="ai-how inventory pcie")
    missing = [each for each in gpu.siblings if each not in machine.hostdevs]
    if missing:
        why = (
            f"GPU {gpu.address} goes to {name} with all of IOMMU group {gpu.group} or not at all, "
            f"and {', '.join(missing)} stays behind; add it to its pcie_passthrough"
        )
        yield of(kind="torn", why=why, command="ai-how inventory pcie")
    if gpu.owner is None and gpu.processes:
        told = ", ".join(f"{each.pid} ({each.command})" for each in gpu.processes)
        end = "would hang with them"
        if gpu.driver == "vfio-pci":
            end = "knows nothing of them, so that no machine starts with it"
        why = (
            f"GPU {gpu.address}, which {name} wants, is currently allocated to the host: its "
            f"processes {told} use it, and libvirt {end}"
        )
        command = f"kill {' '.join(str(each.pid) for each in gpu.processes)}"
        yield of(kind="busy", why=why, command=command)


def _taken(gpu: Gpu, owner: Party, party: Party) -> Conflict:
    held = Held(gpu.address, owner.name, owner.cluster)
    return Conflict(
        gpu=gpu.address,
        kind="taken",
        machine=party.name,
        clusters=tuple(filter(None, (owner.cluster, party.cluster))),
        why=f"{held.why}. Stop `{owner.name}` before starting {party}",
        command=held.handed_to(party.name),
    )


def _rivals(gpu: Gpu, rivals: Sequence[Party]) -> Conflict:
    told = " and ".join(map(str, rivals))
    return Conflict(
        gpu=gpu.address,
        kind="rivals",
        machine=rivals[-1].name,
        clusters=tuple(dict.fromkeys(each.cluster for each in rivals)),
        why=f"GPU {gpu.address} is to go to {told}, which both start with their clusters: the "
        "first gets it; let all but one have `auto_start: false`",
        command=f"ai-how gpu switch {gpu.address} --to {rivals[0].name}",
    )
