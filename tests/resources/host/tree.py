"""A machine's /sys and /proc as files below a directory, as large as the tests need it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tree:
    """`root` is what readers take in the place of `/`."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        found = self.root / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)
        return found

    def function(
        self, address: str, pci_class: str, identity: str = "10de:2805", *, driver: str = "",
        group: int | None = None, has_screen: bool = False,
    ) -> None:  # fmt: skip
        """A PCI function with its links, as sysfs has them."""
        place = f"sys/bus/pci/devices/{address}"
        vendor, _, device = identity.partition(":")
        self.write(f"{place}/class", f"{pci_class}\n")
        self.write(f"{place}/vendor", f"0x{vendor}\n")
        self.write(f"{place}/device", f"0x{device}\n")
        self.write(f"{place}/boot_vga", f"{int(has_screen)}\n")
        if driver:
            self._link(f"{place}/driver", f"sys/bus/pci/drivers/{driver}")
        if group is not None:
            self._link(f"{place}/iommu_group", f"sys/kernel/iommu_groups/{group}")
            self._link(f"sys/kernel/iommu_groups/{group}/devices/{address}", place)

    def _link(self, path: str, target: str) -> None:
        (self.root / target).mkdir(parents=True, exist_ok=True)
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / target)
