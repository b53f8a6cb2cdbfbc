"""The PCI functions of this machine by sysfs: what each is, its driver, and its IOMMU group."""

from dataclasses import dataclass
from pathlib import Path

from resources.host import pci_class

ROOT = Path("/")


@dataclass(frozen=True)
class Function:
    """One function; `address` as 0000:01:00.0, `pci_class` as 0x030000, identities as 10de.

    `members` are the addresses of its IOMMU group, its own too; none without an IOMMU.
    `has_screen` is True for the card that firmware and console draw on.
    """

    address: str
    pci_class: str
    vendor_id: str
    device_id: str
    driver: str
    group: int | None
    members: tuple[str, ...]
    has_screen: bool = False

    @property
    def is_display(self) -> bool:
        return pci_class.is_display(self.pci_class)

    @property
    def is_bridge(self) -> bool:
        return pci_class.is_bridge(self.pci_class)


def functions(root: Path = ROOT) -> dict[str, Function]:
    """All by their addresses; none where there is no sysfs, as on a Mac."""
    folder = root / "sys/bus/pci/devices"
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return {}
    return {each.name: _function(each) for each in found}


def _function(place: Path) -> Function:
    group = place / "iommu_group"
    number = _target(group)
    return Function(
        address=place.name,
        pci_class=_word(place / "class"),
        vendor_id=_word(place / "vendor").removeprefix("0x"),
        device_id=_word(place / "device").removeprefix("0x"),
        driver=_target(place / "driver"),
        group=int(number) if number.isdigit() else None,
        members=_names(group / "devices"),
        has_screen=_word(place / "boot_vga") == "1",
    )


def _word(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip().lower()
    except OSError:
        return ""


def _target(link: Path) -> str:
    """The last name of where a link leads; "" where there is no link."""
    try:
        return link.readlink().name
    except OSError:
        return ""


def _names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(each.name for each in folder.iterdir()))
    except OSError:
        return ()
