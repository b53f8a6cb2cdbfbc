"""What was read of the host, for the pure modules beside; who reads it is `reading`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from resources.host.files import Directory, Image
from resources.host.kernel import Kernel
from resources.host.memory import Memory
from resources.host.networks import Route
from resources.host.pci import Function
from resources.host.services import Access
from resources.libvirt import Observation


@dataclass(frozen=True)
class Holder:
    """A process that has a GPU open; `unit` is its service, `guest` the machine that it runs.

    Both are "" for none.
    """

    pid: int
    command: str
    unit: str = ""
    guest: str = ""


@dataclass(frozen=True)
class Devices:
    """The PCI functions of the host by address, and who has which GPU open."""

    kernel: Kernel
    functions: Mapping[str, Function]
    holders: Mapping[str, tuple[Holder, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kvm:
    """`works` is what a guest showed, None where none was tried; `problem` why none could be."""

    has_device: bool
    works: bool | None
    problem: str = ""


@dataclass(frozen=True)
class Libvirt:
    """`version` is "" where it does not answer, and then `problem` and `hint` say why."""

    uri: str
    version: str = ""
    problem: str = ""
    hint: str = ""
    socket: Access = "there"

    @property
    def is_system(self) -> bool:
        """Whether guests are those of the machine and run as a user of their own, not as ours."""
        return self.uri.partition("?")[0].endswith("/system")


@dataclass(frozen=True)
class Facts:
    """Of one host at about one moment; sizes in bytes.

    `programs` have None where they are not installed, `taken` is what disks of machines take
    already, by machine, `public_key` is None where there is no such file. `seen` is None where
    libvirt did not answer.
    """

    user: str
    devices: Devices
    kvm: Kvm
    memory: Memory
    pools: Mapping[Path, Directory]
    images: Mapping[Path, Image]
    taken: Mapping[str, int]
    shared: Mapping[Path, bool]
    interfaces: tuple[str, ...]
    routes: tuple[Route, ...]
    programs: Mapping[str, str | None]
    public_key: str | None
    libvirt: Libvirt
    seen: Observation | None
