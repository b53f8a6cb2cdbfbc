"""What is seen of a hypervisor, as frozen records; sizes in bytes, PCI addresses as 0000:01:00.0.

How they come out of XML is `parsing`'s business, how they are asked for `observation`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from resources.host import pci_class


class State(StrEnum):
    """The states of a domain, numbered by libvirt in this order."""

    NO_STATE = "no state"
    RUNNING = "running"
    BLOCKED = "blocked"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting down"
    OFF = "off"
    CRASHED = "crashed"
    SUSPENDED = "suspended"


@dataclass(frozen=True)
class Identity:
    """What a domain, network or pool is known by: only both together mean one of ours."""

    name: str
    uuid: str


@dataclass(frozen=True)
class Disk:
    """`source` is a path, or `pool/volume` where the domain names a volume; "" for none."""

    target: str
    device: str
    source: str
    format: str
    is_read_only: bool = False


@dataclass(frozen=True)
class Interface:
    """`network` is a libvirt network, or the bridge where the domain names one."""

    mac: str
    network: str
    model: str


@dataclass(frozen=True)
class HostDevice:
    """A device of the host in a domain: `address` for PCI, `uuid` for a mediated device."""

    kind: str
    address: str = ""
    uuid: str = ""
    is_managed: bool = False


@dataclass(frozen=True)
class Machine:
    """What one domain document says; `mark` is what we wrote into it, None in somebody else's."""

    identity: Identity
    kind: str
    memory: int
    vcpus: int
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    host_devices: tuple[HostDevice, ...] = ()
    mark: Mapping[str, str] | None = None
    #: The text of each element of `metadata`, by its namespace.
    metadata: Mapping[str, str] = field(default_factory=dict)
    has_agent: bool = False
    #: A file on the hypervisor to which the first serial port is written; "" for none.
    console_log: str = ""


@dataclass(frozen=True)
class Domain:
    """`live` is what runs, the same as `configured` while it is off."""

    state: State
    #: libvirt's number within the state: for OFF 1 is shut down, 2 destroyed, 3 crashed, 6 failed.
    reason: int
    #: Whether there is a process of it, which holds memory and devices, be it paused or crashed.
    is_active: bool
    is_autostart: bool
    is_persistent: bool
    live: Machine
    configured: Machine
    xml: str
    configured_xml: str

    @property
    def identity(self) -> Identity:
        return self.live.identity

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def uuid(self) -> str:
        return self.identity.uuid


@dataclass(frozen=True)
class Reservation:
    """An address that DHCP keeps for a MAC."""

    mac: str
    address: str
    hostname: str = ""


@dataclass(frozen=True)
class Network:
    """`subnet` as 10.0.0.0/24, "" without an IPv4 address; `forward` "" for an isolated one."""

    identity: Identity
    bridge: str
    forward: str
    subnet: str
    gateway: str
    reservations: tuple[Reservation, ...]
    mark: Mapping[str, str] | None
    xml: str
    is_active: bool = False
    is_autostart: bool = False
    is_persistent: bool = True


@dataclass(frozen=True)
class Volume:
    """`backing` is the path of the file that an overlay lies on; "" for none."""

    name: str
    pool: str
    path: str
    format: str
    capacity: int
    allocation: int
    backing: str = ""


@dataclass(frozen=True)
class Pool:
    """Volumes are known while it is active; `available` is what its file system has left."""

    identity: Identity
    kind: str
    path: str
    capacity: int
    available: int
    is_active: bool = False
    is_autostart: bool = False
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class MediatedType:
    """A kind of slice that a device can be cut into, and how many more of it."""

    name: str
    description: str
    device_api: str
    available: int


@dataclass(frozen=True)
class PciDevice:
    """`pci_class` as 0x030000; the group holds its own address too, empty without an IOMMU."""

    name: str
    address: str
    pci_class: str
    vendor_id: str
    vendor: str
    product_id: str
    product: str
    driver: str
    iommu_group: int | None
    iommu_members: tuple[str, ...]
    mediated_types: tuple[MediatedType, ...] = ()

    @property
    def is_display(self) -> bool:
        return pci_class.is_display(self.pci_class)

    @property
    def is_bridge(self) -> bool:
        return pci_class.is_bridge(self.pci_class)


@dataclass(frozen=True)
class Observation:
    """All of one hypervisor at about one moment; each sorted by name."""

    domains: tuple[Domain, ...] = ()
    networks: tuple[Network, ...] = ()
    pools: tuple[Pool, ...] = ()
    devices: tuple[PciDevice, ...] = ()

    def domain(self, name: str) -> Domain | None:
        return next((each for each in self.domains if each.name == name), None)

    def network(self, name: str) -> Network | None:
        return next((each for each in self.networks if each.identity.name == name), None)

    def pool(self, name: str) -> Pool | None:
        return next((each for each in self.pools if each.identity.name == name), None)

    def holder(self, address: str) -> Domain | None:
        """Who has the PCI device now: the active domain that runs with it, None when it is free."""
        return next((each for each in self.domains if holds(each, address)), None)


def holds(domain: Domain, address: str) -> bool:
    """Whether a domain runs with a PCI device, be it paused."""
    devices = (each.address for each in domain.live.host_devices)
    return domain.is_active and address in devices
