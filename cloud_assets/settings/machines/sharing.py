"""Who has which PCI device of the host: each once a cluster, and IOMMU groups as a whole.

The same GPU in both clusters is no conflict but what the file is for: libvirt gives it to the one
that runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud_assets.settings.machines.conflict import Conflict
from cloud_assets.settings.machines.devices import PciDevice
from cloud_assets.settings.machines.nodes import Node, Worker
from cloud_assets.settings.machines.roster import Declared, Location


@dataclass(frozen=True)
class Passed:
    """One device of one machine."""

    machine: Declared
    where: Location
    device: PciDevice

    @property
    def address(self) -> str:
        return self.device.pci_address


def passed(machines: Sequence[Declared]) -> tuple[Passed, ...]:
    """All devices that are passed through, in the order of the file."""
    return tuple(
        Passed(each, (*each.where, "pcie_passthrough", "devices", place), device)
        for each in machines
        if isinstance(each.node, Worker) and each.node.pcie_passthrough.enabled
        for place, device in enumerate(each.node.pcie_passthrough.devices)
    )


def conflicts(machines: Sequence[Declared]) -> Iterator[Conflict]:
    """Devices that are given twice, groups that are torn apart, and kinds that are not so."""
    devices = passed(machines)
    yield from _given_twice(devices)
    yield from _two_groups(devices)
    yield from _torn_apart(devices)
    for machine in machines:
        if isinstance(machine.node, Node) and "pcie_passthrough" not in machine.wrong:
            yield from _other_kind(machine, machine.node)


def _given_twice(devices: Sequence[Passed]) -> Iterator[Conflict]:
    owners: dict[tuple[str, str], Declared] = {}
    for each in devices:
        owner = owners.setdefault((each.machine.kind, each.address), each.machine)
        where = (*each.where, "pci_address")
        if owner.name != each.machine.name:
            yield Conflict(
                where,
                f"{each.address} is {owner.name}'s already, and a device belongs to one machine "
                f"of a cluster; take it from one of the two",
            )
        elif any(
            other.where < each.where and other.where[:-1] == each.where[:-1]
            for other in devices
            if other.address == each.address
        ):
            yield Conflict(where, f"{each.address} stands twice; remove one")


def _two_groups(devices: Sequence[Passed]) -> Iterator[Conflict]:
    groups: dict[str, int] = {}
    for each in devices:
        group = each.device.iommu_group
        if group is not None and groups.setdefault(each.address, group) != group:
            yield Conflict(
                (*each.where, "iommu_group"),
                f"{each.address} is in group {groups[each.address]} elsewhere in this file; "
                "`readlink /sys/bus/pci/devices/ADDRESS/iommu_group` tells which is right",
            )


def _torn_apart(devices: Sequence[Passed]) -> Iterator[Conflict]:
    group_of = _groups(devices)
    members: dict[str, dict[str, Passed]] = {}
    for each in devices:
        members.setdefault(group_of[each.address], {}).setdefault(each.address, each)
    owned: dict[str, list[Passed]] = {}
    for each in devices:
        owned.setdefault(each.machine.name, []).append(each)
    for own in owned.values():
        addresses = {each.address for each in own}
        for group in dict.fromkeys(group_of[each.address] for each in own):
            for address, other in members[group].items():
                if address not in addresses:
                    yield _missing(own, group, group_of, other)


def _missing(
    own: Sequence[Passed], group: str, group_of: Mapping[str, str], other: Passed
) -> Conflict:
    first = next(each for each in own if group_of[each.address] == group)
    return Conflict(
        first.where,
        f"{first.address} and {other.address}, which {other.machine.name} has, are of one {group}, "
        f"and one machine gets all of it; add {other.address} to {first.machine.name} too",
    )


def _groups(devices: Sequence[Passed]) -> Mapping[str, str]:
    """The group of each address in words: what any machine says, else what its slot says."""
    told: dict[str, int] = {}
    for each in devices:
        if each.device.iommu_group is not None:
            told.setdefault(each.address, each.device.iommu_group)
    found = {}
    for each in devices:
        slot = each.device.slot
        mates = {group for address, group in told.items() if address.startswith(f"{slot}.")}
        group = told.get(each.address, min(mates) if len(mates) == 1 else None)
        found[each.address] = f"slot {slot}" if group is None else f"IOMMU group {group}"
    return found


def _other_kind(machine: Declared, node: Node) -> Iterator[Conflict]:
    """A worker that stands or is called otherwise than its devices say."""
    has = "gpu" if node.has_gpu else "cpu"
    why = (
        "a GPU is passed to it"
        if node.has_gpu
        else "no GPU is passed to it; enable pcie_passthrough with a device of type gpu"
    )
    if node.worker_type not in (None, has):
        yield Conflict(
            (*machine.where, "worker_type"), f"{why}, or let {machine.name} be of type {has}"
        )
    stands = machine.where[-2] if len(machine.where) > 3 else None
    if stands in ("cpu", "gpu") and stands != has:
        yield Conflict(machine.where, f"{why}, or move {machine.name} to `{has}`")
