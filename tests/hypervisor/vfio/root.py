"""What the machine with an IOMMU boots: Debian with libvirt and QEMU, and Debian's usual kernel.

The cloud kernel has neither graphics nor sound, so no driver that a GPU could return to.
"""

import shutil
from pathlib import Path

from tests.hypervisor import kernel
from tests.testbed import pins
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

KERNEL, DISK, MODULES = "vmlinuz", "disk.raw", "modules"

_META_PACKAGE = "linux-image-amd64"
_PACKAGES = ("busybox-static", "libvirt-daemon", "libvirt-daemon-driver-qemu", "qemu-system-x86")
_LEFT_OUT = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale")]
_MEBIBYTES = 2000
_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "crc32c_generic", "ext4", "bochs", "snd_hda_intel",
    "vfio_iommu_type1", "vfio_pci",
)  # fmt: skip
#: The emulated IOMMU cannot remap interrupts, without which VFIO asks for a word of consent.
_ARGUMENTS = {"vfio_iommu_type1": "allow_unsafe_interrupts=1"}
#: The driver insists on this user, whatever its configuration says.
_ACCOUNTS = {
    "passwd": "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n",
    "group": "libvirt-qemu:x:64055:\n",
}
_MACHINE = "a1b0000000000000000000000000c0de\n"


def vfio_root() -> Artefact:
    """`vmlinuz`, `disk.raw` with an ext4, and `modules`: in the order of the file `order`."""
    command = ["mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(_PACKAGES)}"]
    command += [*_LEFT_OUT, pins.DEBIAN]

    def build(draft: Path) -> None:
        root, unpacked = draft / "root", draft / "unpacked"
        commands.run([*command, root])
        _settle(root)
        commands.run(["truncate", "--size", f"{_MEBIBYTES}M", draft / DISK])
        commands.run(["mkfs.ext4", "-q", "-d", root, draft / DISK])
        shutil.copy(kernel.unpack(_META_PACKAGE, unpacked), draft / KERNEL)
        _keep_modules(unpacked, draft / MODULES)
        for each in (root, unpacked):
            shutil.rmtree(each)

    settings = (*_MODULES, str(_ARGUMENTS), str(_ACCOUNTS), _MACHINE, str(_MEBIBYTES))
    return Artefact("vfio-root", "\n".join((*command, _META_PACKAGE, *settings)), build)


def _settle(root: Path) -> None:
    for name, line in _ACCOUNTS.items():
        path = root / "etc" / name
        if "libvirt-qemu" not in path.read_text("utf-8"):
            path.write_text(path.read_text("utf-8") + line, "utf-8")
    (root / "etc" / "machine-id").write_text(_MACHINE, "ascii")


def _keep_modules(unpacked: Path, into: Path) -> None:
    into.mkdir()
    order = ""
    for path in kernel.modules(unpacked, _MODULES):
        shutil.copy(path, into)
        order += f"{path.name} {_ARGUMENTS.get(path.stem, '')}\n"
    (into / "order").write_text(order, "ascii")
