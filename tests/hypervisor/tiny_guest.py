"""The tiny guest: Debian's cloud kernel and busybox, up in some seconds without a KVM.

It takes an address by DHCP and ends when its power button is pressed; it has no disk and no agent.
"""

import shutil
from pathlib import Path

from tests.hypervisor import kernel
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

KERNEL, INITRAMFS = "vmlinuz", "initramfs"
#: What its console says once it has done all that it does.
UP = "tiny guest is up"
DEAF, QUIET_CARD = "deaf", "quiet-card"

_META_PACKAGE = "linux-image-cloud-amd64"
_INIT = Path(__file__).with_name("tiny_init.sh")
#: In the order of their needs.
_MODULES = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
    "failover", "net_failover", "virtio_net", "evdev", "button",
)  # fmt: skip
_LEASE = """#!/bin/busybox sh
[ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface"
exit 0
"""
_POWER_OFF = "#!/bin/busybox sh\necho 'tiny guest ends' > /dev/console\npoweroff -f\n"


def tiny_guest() -> Artefact:
    """`vmlinuz` and `initramfs`, for a domain that boots them directly."""
    recipe = "\n".join((_META_PACKAGE, *_MODULES, _INIT.read_text("utf-8"), _LEASE, _POWER_OFF))
    return Artefact("tiny-guest", recipe, _build)


def _build(draft: Path) -> None:
    unpacked, root = draft / "unpacked", draft / "root"
    for each in (root / "modules", root / "bin"):
        each.mkdir(parents=True)
    shutil.copy(kernel.unpack(_META_PACKAGE, unpacked), draft / KERNEL)
    for name in _MODULES:
        shutil.copy(next(unpacked.rglob(f"{name}.ko")), root / "modules")
    (root / "modules" / "order").write_text("".join(f"{each}.ko\n" for each in _MODULES), "ascii")
    shutil.copy(shutil.which("busybox") or "busybox", root / "bin" / "busybox")
    _write(root / "init", _INIT.read_text("utf-8"))
    _write(root / "lease", _LEASE)
    _write(root / "etc" / "acpi" / "PWRF" / "00000080", _POWER_OFF)
    script = f"cd '{root}' && find . | busybox cpio -o -H newc | gzip -1 > '{draft / INITRAMFS}'"
    commands.run(["sh", "-euc", script])
    for each in (unpacked, root):
        shutil.rmtree(each)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)
