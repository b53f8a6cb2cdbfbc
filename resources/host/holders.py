"""Programs of this machine that have a GPU open, by whichever device file, told by PCI address.

NVIDIA's own files, those of graphics and of AMD's computing, and a group that an emulator has.
libvirt hangs, or is refused, where it is to take such a GPU.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path("/")
_NVIDIA = re.compile(r"^/dev/nvidia(\d+)$")
_GRAPHICS = re.compile(r"^/dev/dri/((?:card|renderD)\d+)$")
_GROUP = re.compile(r"^/dev/vfio/(\d+)$")
_VFIO = re.compile(r"^/dev/vfio/devices/(vfio\d+)$")
#: One for all GPUs of AMD's driver.
_AMD = "/dev/kfd"
_MINOR = re.compile(r"^Device Minor:\s*(\d+)", re.MULTILINE)
_GUEST = re.compile(r"\0-name\0(?:guest=)?([^,\0]+)")


@dataclass(frozen=True)
class Process:
    """One process; `devices` are the GPUs that it has open, as /dev/nvidia0.

    `guest` is the machine that it runs where it is an emulator, "" where it is none.
    """

    pid: int
    command: str
    devices: tuple[str, ...]
    guest: str = ""


def holders(root: Path = ROOT) -> Mapping[str, tuple[Process, ...]]:
    """Who has each device open, by its PCI address (0000:01:00.0).

    Of what other users run this user sees nothing unless it is root.
    """
    files = _DeviceFiles(root)
    found: dict[str, tuple[Process, ...]] = {}
    for process in _processes(root / "proc", files):
        for address in sorted({each for name in process.devices for each in files.of(name)}):
            found[address] = (*found.get(address, ()), process)
    return found


@dataclass
class _DeviceFiles:
    """Which PCI functions a device file stands for; what it was asked it keeps."""

    root: Path
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[str, ...]:
        """The addresses, none for what is no GPU's file."""
        if name.startswith("/dev/") and name not in self.known:
            self.known[name] = tuple(self._looked_up(name))
        return self.known.get(name, ())

    def _looked_up(self, name: str) -> Iterator[str]:
        sys = self.root / "sys"
        if _NVIDIA.match(name):
            yield from filter(None, [self._by_minor.get(name)])
        elif name == _AMD:
            yield from self._of_amd
        elif found := _GROUP.match(name):
            yield from _names(sys / "kernel/iommu_groups" / found[1] / "devices")
        elif found := _GRAPHICS.match(name):
            yield from _device(sys / "class/drm" / found[1])
        elif found := _VFIO.match(name):
            yield from _device(sys / "class/vfio-dev" / found[1])

    @cached_property
    def _by_minor(self) -> dict[str, str]:
        found = {}
        for each in sorted((self.root / "proc/driver/nvidia/gpus").glob("*/information")):
            with suppress(OSError):
                minor = _MINOR.search(each.read_text("utf-8", "replace"))
                if minor:
                    found[f"/dev/nvidia{minor[1]}"] = each.parent.name.lower()
        return found

    @cached_property
    def _of_amd(self) -> list[str]:
        links = self.root.glob("sys/bus/pci/devices/*/driver")
        return [each.parent.name for each in sorted(links) if each.resolve().name == "amdgpu"]


def _device(place: Path) -> Iterator[str]:
    """The address of what a class of the kernel lists; a card of no bus has none."""
    with suppress(OSError):
        name = (place / "device").resolve(strict=True).name
        if name.count(":") == 2:
            yield name


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir())
    except OSError:
        return []


def _processes(proc: Path, files: _DeviceFiles) -> Iterator[Process]:
    for each in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        # It may end while we look, or be another user's.
        with suppress(OSError):
            devices = tuple(sorted(filter(files.of, set(_open(each / "fd")))))
            if devices:
                command = (each / "comm").read_text("utf-8", "replace").strip()
                yield Process(int(each.name), command, devices, _guest(each))


def _guest(process: Path) -> str:
    with suppress(OSError):
        found = _GUEST.search((process / "cmdline").read_text("utf-8", "replace"))
        return found[1] if found else ""
    return ""


def _open(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())
