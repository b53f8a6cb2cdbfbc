"""What the kernel of this machine can: run guests by KVM, and hand devices over by VFIO."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/")
Vendor = Literal["intel", "amd", "other"]
_VENDORS: dict[str, Vendor] = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_PATIENCE_SECONDS = 10
#: Programs of the system, which the PATH of a user may lack.
_SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Kernel:
    """`words` are those of its command line; `can_load_vfio` where vfio-pci is not loaded, too.

    `is_guest` is True below a hypervisor; `nested` None where no KVM module tells.
    """

    vendor: Vendor
    has_virtualisation: bool
    is_guest: bool
    words: tuple[str, ...]
    iommu_groups: int
    has_kvm_module: bool
    nested: bool | None
    has_vfio: bool
    can_load_vfio: bool


def kernel(root: Path = ROOT) -> Kernel:
    """As it runs now; `modprobe` is asked only where vfio-pci is not loaded."""
    processor = _processor(root)
    flags = set(processor.get("flags", "").split())
    has_vfio = (root / "sys/module/vfio_pci").exists()
    return Kernel(
        vendor=_VENDORS.get(processor.get("vendor_id", ""), "other"),
        has_virtualisation=bool(flags & {"vmx", "svm"}),
        is_guest="hypervisor" in flags,
        words=tuple(_text(root / "proc/cmdline").split()),
        iommu_groups=_count(root / "sys/kernel/iommu_groups"),
        has_kvm_module=(root / "sys/module/kvm").exists(),
        nested=_nested(root),
        has_vfio=has_vfio,
        can_load_vfio=has_vfio or can_load("vfio-pci"),
    )


def program(name: str) -> str | None:
    """The path of a program of users or of the system; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATHS}")


def can_load(module: str) -> bool:
    """Whether the kernel has a module, loaded or not; nothing is loaded."""
    modprobe = program("modprobe")
    if modprobe is None:
        return False
    try:
        ended = subprocess.run(
            [modprobe, "--dry-run", "--quiet", module], check=False, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _processor(root: Path) -> dict[str, str]:
    """The first processor's lines."""
    first = _text(root / "proc/cpuinfo").split("\n\n")[0]
    lines = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _nested(root: Path) -> bool | None:
    for module in ("kvm_intel", "kvm_amd"):
        word = _text(root / "sys/module" / module / "parameters/nested").strip()
        if word:
            return word in ("Y", "1")
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0
