"""What should exist on the host, in libvirt's terms: networks, pools, volumes, domains.

Values alone; `spec` derives them from the settings, and an adapter makes them so.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from cloud_assets.settings.machines.roster import Kind, Role

Acceleration = Literal["auto", "kvm", "tcg"]


@dataclass(frozen=True)
class Reservation:
    """A fixed lease: who has this MAC is called `name` and gets this address."""

    mac: str
    name: str
    ip: IPv4Address


@dataclass(frozen=True)
class Network:
    """A NAT network on a bridge; the host has `gateway`, leases are from `first` to `last`."""

    name: str
    bridge: str
    subnet: IPv4Network
    gateway: IPv4Address
    first: IPv4Address
    last: IPv4Address
    reservations: tuple[Reservation, ...]


@dataclass(frozen=True)
class Pool:
    """A directory of volumes."""

    name: str
    path: Path


@dataclass(frozen=True)
class Volume:
    """A qcow2 overlay of `backing`, an image that is never written."""

    name: str
    pool: str
    capacity_bytes: int
    backing: Path


@dataclass(frozen=True)
class Mount:
    """A directory of the host by virtiofs, which needs memory that is shared."""

    tag: str
    host_path: Path
    mount_point: str
    owner: str
    group: str
    mode: str
    options: str


@dataclass(frozen=True)
class Topology:
    """Sockets × cores × threads are the CPUs of the machine."""

    sockets: int
    cores: int
    threads: int


@dataclass(frozen=True)
class Processor:
    """`features` by name, True where it is added; `topology` None leaves it to libvirt.

    `numa_nodes` share CPUs and memory in equal parts; None is a machine that sees no nodes.
    """

    model: Literal["host-passthrough", "host-model", "qemu64"]
    features: tuple[tuple[str, bool], ...]
    topology: Topology | None
    numa_nodes: int | None
    nested: bool
    pinned: bool


@dataclass(frozen=True)
class Memory:
    """`hugepage_bytes` None is ordinary pages; `shared` is memory that the host sees, too."""

    size_bytes: int
    hugepage_bytes: int | None
    shared: bool


@dataclass(frozen=True)
class Machine:
    """One domain. `name` is libvirt's, `hostname` the guest's own and its inventory's.

    `ip` None is a lease without reservation; `hostdevs` are PCI addresses, those of `gpus` first.
    """

    name: str
    cluster: str
    role: Role
    hostname: str
    uuid: str
    mac: str
    vcpus: int
    processor: Processor
    memory: Memory
    volume: Volume
    network: str
    ip: IPv4Address | None
    auto_start: bool
    gpus: tuple[str, ...]
    hostdevs: tuple[str, ...]
    mounts: tuple[Mount, ...]
    image: Path
    acceleration: Acceleration


@dataclass(frozen=True)
class Cluster:
    """One cluster's network, pool and machines, the leader first."""

    kind: Kind
    name: str
    network: Network
    pool: Pool
    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class Desired:
    """All that the settings ask for."""

    clusters: tuple[Cluster, ...]

    @property
    def machines(self) -> tuple[Machine, ...]:
        return tuple(machine for cluster in self.clusters for machine in cluster.machines)

    def users(self) -> dict[str, tuple[Machine, ...]]:
        """The machines that want each GPU, by its PCI address; one of them can have it."""
        found: dict[str, tuple[Machine, ...]] = {}
        for machine in self.machines:
            for gpu in machine.gpus:
                found[gpu] = (*found.get(gpu, ()), machine)
        return dict(sorted(found.items()))
