"""Programs of this machine that have an NVIDIA GPU open, which keeps its driver from letting go.

libvirt hangs where it is to take such a GPU from the host.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_DEVICE = re.compile(r"^/dev/nvidia(\d+)$")
_MINOR = re.compile(r"^Device Minor:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Process:
    """One process; `devices` are the GPUs that it has open, as /dev/nvidia0."""

    pid: int
    command: str
    devices: tuple[str, ...]


def holders(proc: Path = PROC) -> Mapping[str, tuple[Process, ...]]:
    """Who has each GPU open, by its PCI address (0000:01:00.0).

    Of what other users run this user sees nothing unless it is root.
    """
    addresses = dict(_addresses(proc))
    found: dict[str, tuple[Process, ...]] = {}
    for process in _processes(proc):
        for device in process.devices:
            address = addresses.get(device)
            if address is not None:
                found[address] = (*found.get(address, ()), process)
    return found


def _addresses(proc: Path) -> Iterator[tuple[str, str]]:
    """The device file of each GPU that the driver has, with its address."""
    for each in sorted((proc / "driver" / "nvidia" / "gpus").glob("*/information")):
        with suppress(OSError):
            minor = _MINOR.search(each.read_text("utf-8", "replace"))
            if minor:
                yield f"/dev/nvidia{minor[1]}", each.parent.name.lower()


def _processes(proc: Path) -> Iterator[Process]:
    for each in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        # It may end while we look, or be another user's.
        with suppress(OSError):
            devices = tuple(sorted(filter(_DEVICE.match, set(_open(each / "fd")))))
            if devices:
                command = (each / "comm").read_text("utf-8", "replace").strip()
                yield Process(int(each.name), command, devices)


def _open(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())
