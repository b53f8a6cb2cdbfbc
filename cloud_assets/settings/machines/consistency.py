"""What machines and clusters must agree in: names, networks, addresses, images, processors.

Pure, of typed clusters or of plain values; what has mistakes of its own is passed over. PCI devices
are looked at by `sharing`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from pydantic import ValidationError

from cloud_assets.settings.machines import sharing
from cloud_assets.settings.machines.clusters import Network, Storage
from cloud_assets.settings.machines.conflict import Conflict
from cloud_assets.settings.machines.hardware import Acceleration
from cloud_assets.settings.machines.nodes import Leader
from cloud_assets.settings.machines.roster import (
    TYPES,
    Declared,
    Kind,
    Location,
    roster,
    value_of,
)
from cloud_assets.settings.section import Section

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Seen:
    """One cluster as far as its values are right."""

    kind: Kind
    name: object
    image: object
    network: Network | None
    processor: Acceleration | None
    storage: Storage | None
    machines: Sequence[Declared]
    workers: object


def conflicts(clusters: object) -> tuple[Conflict, ...]:
    """Everything that does not go together, in the order of the clusters."""
    machines = tuple(roster(clusters))
    seen = [
        _seen(kind, value_of(clusters, kind), [each for each in machines if each.kind == kind])
        for kind in TYPES
        if value_of(clusters, kind) is not None
    ]
    found = [*_of_pairs(seen), *(each for one in seen for each in _of_cluster(one))]
    found += sharing.conflicts(machines)
    passed_over = {(*each.where, key) for each in machines for key in each.wrong}
    return tuple(
        each
        for each in dict.fromkeys(found)
        if not any(each.where[:length] in passed_over for length in range(len(each.where) + 1))
    )


def _seen(kind: Kind, cluster: object, machines: Sequence[Declared]) -> Seen:
    return Seen(
        kind=kind,
        name=value_of(cluster, "name"),
        image=value_of(cluster, "base_image_path"),
        network=_read(Network, value_of(cluster, "network")),
        processor=_read(Acceleration, value_of(value_of(cluster, "hardware"), "acceleration")),
        storage=_read(Storage, value_of(cluster, "storage")),
        machines=machines,
        workers=value_of(cluster, TYPES[kind].workers),
    )


def _read(kind: type[S], given: object) -> S | None:
    try:
        return kind.model_validate(given)
    except ValidationError:
        return None


def _of_pairs(seen: Sequence[Seen]) -> Iterator[Conflict]:
    for one, other in combinations(seen, 2):
        if one.name is not None and one.name == other.name:
            yield Conflict(
                (other.kind, "name"), f"`{one.name}` is the {one.kind} cluster's name; take another"
            )
        if one.network and other.network:
            yield from _of_networks(one.kind, one.network, other.kind, other.network)


def _of_networks(first: Kind, one: Network, kind: Kind, other: Network) -> Iterator[Conflict]:
    if one.subnet.overlaps(other.subnet):
        yield Conflict(
            (kind, "network", "subnet"),
            f"{other.subnet} overlaps {one.subnet} of the {first} cluster; take another",
        )
    if one.bridge == other.bridge:
        yield Conflict(
            (kind, "network", "bridge"),
            f"`{one.bridge}` is the {first} cluster's bridge; take another",
        )


def _of_cluster(seen: Seen) -> Iterator[Conflict]:
    if seen.network:
        yield from _of_addresses(seen, seen.network)
    for machine in seen.machines:
        yield from _of_machine(machine, seen)
    if seen.storage and seen.storage.beegfs:
        yield from _of_storage(seen, seen.storage)
    if _is_empty(seen.workers):
        yield Conflict(
            (seen.kind, TYPES[seen.kind].workers), "names no machine; a cluster needs at least one"
        )


def _is_empty(workers: object) -> bool:
    """Lists without an entry; what is no list is looked at by its type."""
    if isinstance(workers, list | tuple):
        return not workers
    kinds = [value_of(workers, kind) for kind in ("cpu", "gpu")]
    return kinds != [None, None] and not any(kinds)


def _of_addresses(seen: Seen, network: Network) -> Iterator[Conflict]:
    subnet = network.subnet
    taken: dict[object, str] = {}
    for machine in seen.machines:
        key = "ip_address" if isinstance(machine.node, Leader) else "ip"
        address = getattr(machine.node, key, "DHCP")
        if address == "DHCP":
            continue
        where = (*machine.where, key)
        if address not in subnet:
            yield Conflict(
                where,
                f"{address} is not in {subnet}, the cluster's subnet; take an address of it",
            )
        elif address in (subnet.network_address, subnet.broadcast_address):
            yield Conflict(where, f"{address} is an end of {subnet}; take one in between")
        elif address == subnet.network_address + 1:
            yield Conflict(where, f"{address} is the host's own in {subnet}; take a later one")
        elif address in taken:
            yield Conflict(where, f"{address} is the address of {taken[address]}; take another")
        taken.setdefault(address, machine.name)
    room = subnet.num_addresses - 3
    if len(seen.machines) > room:
        yield Conflict(
            (seen.kind, "network", "subnet"),
            f"{subnet} has addresses for {room} machines, not for {len(seen.machines)}; "
            "take a larger one",
        )


def _of_machine(machine: Declared, seen: Seen) -> Iterator[Conflict]:
    node = machine.node
    if node is None:
        return
    if node.base_image_path is None and seen.image is None:
        yield Conflict(
            (*machine.where, "base_image_path"),
            f"{machine.name} has no image; set base_image_path here or for the cluster",
        )
    for key in ("tag", "mount_point"):
        values = [getattr(mount, key) for mount in node.virtio_fs_mounts]
        for place, value in enumerate(values):
            if value in values[:place]:
                yield Conflict(
                    (*machine.where, "virtio_fs_mounts", place, key),
                    f"`{value}` stands twice among the mounts of {machine.name}; take another",
                )
    if seen.processor:
        yield from _of_processor(machine, node.cpu_cores, node.memory_gb, seen.processor)


def _of_processor(
    machine: Declared, cores: int, gigabytes: int, processor: Acceleration
) -> Iterator[Conflict]:
    topology, numa = processor.cpu_topology, processor.numa_topology
    if topology and cores % (topology.sockets * topology.threads):
        yield Conflict(
            (*machine.where, "cpu_cores"),
            f"{cores} CPUs do not make {topology.sockets} sockets with {topology.threads} threads "
            "a core; take a multiple, or change the cluster's cpu_topology",
        )
    if numa and cores < numa.nodes:
        yield Conflict(
            (*machine.where, "cpu_cores"),
            f"{cores} CPUs are fewer than the {numa.nodes} NUMA nodes; take more, or change the "
            "cluster's numa_topology",
        )
    if numa and numa.memory_per_node and numa.nodes * numa.memory_per_node != gigabytes * 1024:
        yield Conflict(
            (*machine.where, "memory_gb"),
            f"{numa.nodes} NUMA nodes of {numa.memory_per_node} MiB are not {gigabytes} GiB; "
            "leave memory_per_node out, or make them equal",
        )


def _of_storage(seen: Seen, storage: Storage) -> Iterator[Conflict]:
    known = [machine.hostname for machine in seen.machines]
    beegfs = storage.beegfs
    if beegfs is None:
        return
    where: Location = (seen.kind, "storage", "beegfs")
    named = [((*where, "management_node"), beegfs.management_node)]
    for key in ("metadata_nodes", "storage_nodes"):
        named += [((*where, key, n), each) for n, each in enumerate(getattr(beegfs, key) or ())]
    for place, name in named:
        if name not in known:
            yield Conflict(place, f"no machine goes by `{name}`; there are {', '.join(known)}")
