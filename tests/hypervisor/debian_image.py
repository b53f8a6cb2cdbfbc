"""A Debian cloud image as a product machine boots it: partition, boot loader, cloud-init, agent.

Built without a virtual machine: a root file system is made and copied onto a loop device.
"""

from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

DISK = "disk.qcow2"

_PACKAGES = (
    "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "netplan.io", "linux-image-cloud-amd64",
    "cloud-init", "cloud-guest-utils", "openssh-server", "sudo", "python3", "qemu-guest-agent",
)  # fmt: skip
_LEFT_OUT = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale")]
_MEBIBYTES = 2000
_LOADER = """DEFAULT debian
PROMPT 0
LABEL debian
  LINUX /vmlinuz
  INITRD /initrd.img
  APPEND root=LABEL=root ro console=ttyS0 net.ifnames=0 systemd.show_status=true
"""
#: Else cloud-init asks one cloud after another, and sets a locale that the image does not have.
_SETTINGS = "datasource_list: [NoCloud, None]\nlocale: false\n"
#: The machine's own extlinux needs but to see the tree mounted, here for itself alone.
_COPY = """
set -eu
truncate --size "$size"M disk.raw
printf 'label: dos\\nstart=2048, type=83, bootable\\n' | sfdisk --quiet disk.raw
dd if=/usr/lib/EXTLINUX/mbr.bin of=disk.raw conv=notrunc status=none
device=$(losetup --show --find --offset 1048576 disk.raw)
trap 'losetup --detach "$device"' EXIT
# extlinux reads no ext4 with 64-bit fields.
mkfs.ext4 -q -O ^64bit,^metadata_csum -L root -d root "$device"
mkdir mounted
mount "$device" mounted
extlinux --install mounted/boot/extlinux
umount mounted
"""


def debian_image() -> Artefact:
    """`disk.qcow2`: 2 GB, grown by cloud-init to what its overlay has; logs in by a seed alone."""
    command = ["mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(_PACKAGES)}"]
    command += _LEFT_OUT

    def build(draft: Path) -> None:
        root = draft / "root"
        commands.run([*command, pins.DEBIAN, root])
        (root / "etc" / "machine-id").write_text("", "ascii")
        (root / "etc" / "fstab").write_text("LABEL=root / ext4 defaults 0 1\n", "ascii")
        (root / "etc" / "resolv.conf").unlink(missing_ok=True)
        (root / "etc" / "cloud" / "cloud.cfg.d" / "90_settings.cfg").write_text(_SETTINGS, "ascii")
        loader = root / "boot" / "extlinux"
        loader.mkdir(exist_ok=True)
        (loader / "extlinux.conf").write_text(_LOADER, "ascii")
        commands.run(
            ["unshare", "--mount", "sh", "-c", _COPY],
            directory=draft, environment={"size": str(_MEBIBYTES)},
        )  # fmt: skip
        commands.run(["qemu-img", "convert", "-O", "qcow2", draft / "disk.raw", draft / DISK])
        commands.run(["rm", "-rf", root, draft / "disk.raw", draft / "mounted"])

    recipe = "\n".join((*command, pins.DEBIAN, _LOADER, _SETTINGS, _COPY, str(_MEBIBYTES)))
    return Artefact("debian-image", recipe, build)
