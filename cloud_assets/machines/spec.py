"""From settings to what should exist; pure, and the same for the same settings on every host.

Names, MACs and pools are those of the earlier tool, so that its machines are found again.
"""

import hashlib
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID, uuid5

from cloud_assets.machines.desired import (
    Acceleration,
    Cluster,
    Desired,
    Machine,
    Memory,
    Mount,
    Network,
    Pool,
    Processor,
    Reservation,
    Topology,
    Volume,
)
from cloud_assets.settings.machines import CloudCluster, Clusters, HpcCluster, Leader, Machines
from cloud_assets.settings.machines import hardware as given
from cloud_assets.settings.machines.nodes import Worker
from cloud_assets.settings.machines.roster import Declared, roster

#: Of the UUIDs of all domains; another one would make other machines.
NAMESPACE = UUID("6d1f7c0e-2f0b-5a53-9c1e-0f6c1f6b7a11")
GIBIBYTE = 2**30
_HUGEPAGES = {"2M": 2 * 2**20, "1G": 2**30}
#: The addresses before it are for machines with fixed ones and for the host.
_FIRST_LEASE = 10


def desired(clusters: Clusters, host: Machines) -> Desired:
    """All clusters as they should be. The settings are taken to be consistent, paths absolute."""
    machines = tuple(roster(clusters))
    found = []
    for kind, cluster in (("hpc", clusters.hpc), ("cloud", clusters.cloud)):
        if cluster is not None:
            declared = [each for each in machines if each.kind == kind]
            found.append(_cluster(cluster, declared, host))
    return Desired(tuple(found))


def mac_address(name: str) -> str:
    """The first bytes of the name's MD5, as a local address of one machine."""
    digest = bytearray(hashlib.md5(name.encode(), usedforsecurity=False).digest()[:6])
    digest[0] = digest[0] & 0xFE | 0x02
    return digest.hex(":")


def machine_uuid(cluster: str, name: str) -> str:
    """The UUID of a domain; deterministic, so that defining it again updates it."""
    return str(uuid5(NAMESPACE, f"{cluster}/{name}"))


def _cluster(
    cluster: HpcCluster | CloudCluster, declared: list[Declared], host: Machines
) -> Cluster:
    pool = Pool(f"{cluster.name}-pool", host.pool_root / cluster.name)
    machines = tuple(_machine(each, cluster, pool, host) for each in declared)
    return Cluster(
        kind=declared[0].kind,
        name=cluster.name,
        network=_network(cluster, machines),
        pool=pool,
        machines=machines,
    )


def _network(cluster: HpcCluster | CloudCluster, machines: tuple[Machine, ...]) -> Network:
    subnet = cluster.network.subnet
    leases = min(_FIRST_LEASE, subnet.num_addresses // 4)
    return Network(
        name=f"{cluster.name}-network",
        bridge=cluster.network.bridge,
        subnet=subnet,
        gateway=subnet[1],
        first=subnet[leases],
        last=subnet[-2],
        reservations=tuple(
            Reservation(each.mac, each.hostname, each.ip) for each in machines if each.ip
        ),
    )


def _machine(
    declared: Declared, cluster: HpcCluster | CloudCluster, pool: Pool, host: Machines
) -> Machine:
    node = declared.node
    image = node.base_image_path or cluster.base_image_path if node else None
    if node is None or image is None:
        raise ValueError(f"{declared.name} is not consistent: it has no values, or no image")
    passed = node.pcie_passthrough.passed if isinstance(node, Worker) else ()
    processor = cluster.hardware.acceleration
    mounts = tuple(
        Mount(**{**each.model_dump(), "host_path": Path(each.host_path)})
        for each in node.virtio_fs_mounts
    )
    return Machine(
        name=declared.name,
        cluster=cluster.name,
        role=declared.role,
        hostname=declared.hostname,
        uuid=machine_uuid(cluster.name, declared.name),
        mac=mac_address(declared.name),
        vcpus=node.cpu_cores,
        processor=_processor(processor, node.cpu_cores),
        memory=_memory(processor.performance, node.memory_gb, shared=bool(mounts)),
        volume=Volume(
            f"{declared.name}.qcow2", pool.name, node.disk_gb * GIBIBYTE, Path(image)
        ),
        network=f"{cluster.name}-network",
        ip=_address(node),
        auto_start=node.auto_start,
        gpus=tuple(each.pci_address for each in passed if each.device_type == "gpu"),
        hostdevs=tuple(each.pci_address for each in passed),
        mounts=mounts,
        image=Path(image),
        acceleration=_acceleration(processor, host),
    )  # fmt: skip


def _address(node: object) -> IPv4Address | None:
    address = node.ip_address if isinstance(node, Leader) else getattr(node, "ip", None)
    return address if isinstance(address, IPv4Address) else None


def _acceleration(processor: given.Acceleration, host: Machines) -> Acceleration:
    return host.acceleration if processor.enable_kvm else "tcg"


def _processor(processor: given.Acceleration, vcpus: int) -> Processor:
    model = processor.cpu_model
    numa = processor.numa_topology
    return Processor(
        model="host-passthrough" if model == "host" else model,
        features=tuple(
            (each.lstrip("+-"), not each.startswith("-")) for each in processor.cpu_features
        ),
        topology=_topology(processor.cpu_topology, vcpus),
        numa_nodes=numa.nodes if numa else None,
        nested=processor.enable_nested,
        pinned=processor.performance.cpu_pinning,
    )


def _topology(topology: given.CpuTopology | None, vcpus: int) -> Topology | None:
    """With as many cores as the machine's CPUs need: one topology is for machines of all sizes."""
    if topology is None:
        return None
    cores = vcpus // (topology.sockets * topology.threads)
    return Topology(topology.sockets, cores, topology.threads)


def _memory(performance: given.Performance, gigabytes: int, *, shared: bool) -> Memory:
    return Memory(
        size_bytes=gigabytes * GIBIBYTE,
        hugepage_bytes=_HUGEPAGES[performance.hugepage_size]
        if performance.enable_hugepages
        else None,
        shared=shared or performance.memory_backing == "memfd",
    )
