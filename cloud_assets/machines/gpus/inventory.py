"""The GPUs of the host: who has each now, and which machines of the file want it. Pure.

The owner is the active domain that runs with it, as libvirt says; nothing else is kept of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_assets.machines.desired import Cluster, Desired, Machine
from cloud_assets.settings.machines.roster import Kind
from resources.host.holders import Process
from resources.libvirt import Domain, MediatedType, Observation, PciDevice


@dataclass(frozen=True)
class Party:
    """A machine at one end of a GPU; `cluster` and `kind` are "" where the file has no such."""

    name: str
    cluster: str
    kind: Kind | None
    is_active: bool
    starts_with_cluster: bool = False

    def __str__(self) -> str:
        return f"`{self.name}`" + (f" of cluster `{self.cluster}`" if self.cluster else "")


@dataclass(frozen=True)
class Gpu:
    """One GPU. `siblings` are the devices of its IOMMU group that go where it goes.

    Of one that the file names and the host has not, everything is empty and `is_there` is False.
    """

    address: str
    name: str
    vendor_id: str
    driver: str
    group: int | None
    siblings: tuple[str, ...]
    slices: tuple[MediatedType, ...]
    owner: Party | None
    wanted_by: tuple[Party, ...]
    processes: tuple[Process, ...]
    is_there: bool = True


def inventory(
    desired: Desired, seen: Observation, processes: Mapping[str, Sequence[Process]]
) -> tuple[Gpu, ...]:
    """All GPUs of the host and of the file by address; `processes` of the host by GPU."""
    devices = {each.address: each for each in seen.devices}
    wanted = desired.users()
    here = {each.address for each in seen.devices if each.is_display}
    return tuple(
        _gpu(
            address,
            devices,
            owner=_owner(seen.holder(address), desired),
            wanted_by=tuple(_party(each, desired, seen) for each in wanted.get(address, ())),
            processes=tuple(processes.get(address, ())),
        )
        for address in sorted(here | wanted.keys())
    )


def cluster_of(desired: Desired, machine: str) -> Cluster | None:
    """The cluster that has a machine of that name."""
    names = ((each, {one.name for one in each.machines}) for each in desired.clusters)
    return next((each for each, known in names if machine in known), None)


def machine_of(desired: Desired, name: str) -> Machine | None:
    return next((each for each in desired.machines if each.name == name), None)


def group_siblings(devices: Mapping[str, PciDevice], address: str) -> tuple[str, ...]:
    """What else of the IOMMU group has to leave the host with the device: all but bridges."""
    found = devices.get(address)
    members = found.iommu_members if found else ()
    return tuple(
        each
        for each in members
        if each != address and not (each in devices and devices[each].is_bridge)
    )


def _gpu(
    address: str,
    devices: Mapping[str, PciDevice],
    *,
    owner: Party | None,
    wanted_by: tuple[Party, ...],
    processes: tuple[Process, ...],
) -> Gpu:
    found = devices.get(address)
    return Gpu(
        address=address,
        name=" ".join(filter(None, (found.vendor, found.product))) if found else "",
        vendor_id=found.vendor_id if found else "",
        driver=found.driver if found else "",
        group=found.iommu_group if found else None,
        siblings=group_siblings(devices, address),
        slices=found.mediated_types if found else (),
        owner=owner,
        wanted_by=wanted_by,
        processes=processes,
        # The test driver, and libvirt without udev, know of no devices at all.
        is_there=found is not None or not devices,
    )


def _party(machine: Machine, desired: Desired, seen: Observation) -> Party:
    cluster = cluster_of(desired, machine.name)
    domain = seen.domain(machine.name)
    return Party(
        name=machine.name,
        cluster=machine.cluster,
        kind=cluster.kind if cluster else None,
        is_active=domain is not None and domain.is_active,
        starts_with_cluster=machine.auto_start,
    )


def _owner(domain: Domain | None, desired: Desired) -> Party | None:
    if domain is None:
        return None
    machine = machine_of(desired, domain.name)
    # One of the same name that is not ours has another UUID.
    if machine is None or machine.uuid != domain.uuid:
        return Party(domain.name, "", None, is_active=True)
    cluster = cluster_of(desired, machine.name)
    return Party(
        machine.name, machine.cluster, cluster.kind if cluster else None, is_active=True,
        starts_with_cluster=machine.auto_start,
    )  # fmt: skip
