"""libvirt: what a hypervisor has, and what is ours of it; XML in, frozen records out.

The verbs are functions of the modules `domains`, `networks`, `storage`, `snapshots`, `guests` and
`seed`, which take a Connection first.
"""

from resources.libvirt.api.connection import Connection
from resources.libvirt.api.events import Event, Watch, watching
from resources.libvirt.api.failures import (
    AgentSilent,
    AlreadyThere,
    DeviceInUse,
    GroupNotViable,
    ImageInUse,
    NoRoom,
    NotFound,
    NotListening,
    NotOurs,
    Unsupported,
)
from resources.libvirt.api.objects import Outcome
from resources.libvirt.domains import Progress
from resources.libvirt.observation import holder, observe, pci_devices
from resources.libvirt.ownership import mark, noted
from resources.libvirt.records import (
    Disk,
    Domain,
    HostDevice,
    Identity,
    Interface,
    Machine,
    MediatedType,
    Network,
    Observation,
    PciDevice,
    Pool,
    Reservation,
    State,
    Volume,
)

__all__ = [
    "AgentSilent",
    "AlreadyThere",
    "Connection",
    "DeviceInUse",
    "Disk",
    "Domain",
    "Event",
    "GroupNotViable",
    "HostDevice",
    "Identity",
    "ImageInUse",
    "Interface",
    "Machine",
    "MediatedType",
    "Network",
    "NoRoom",
    "NotFound",
    "NotListening",
    "NotOurs",
    "Observation",
    "Outcome",
    "PciDevice",
    "Pool",
    "Progress",
    "Reservation",
    "State",
    "Unsupported",
    "Volume",
    "Watch",
    "holder",
    "mark",
    "noted",
    "observe",
    "pci_devices",
    "watching",
]
