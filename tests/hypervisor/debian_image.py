"""A Debian cloud image as a product machine boots it: partition, boot loader, cloud-init, agent."""

from pathlib import Path

from tests.hypervisor import bootable
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
_WORDS = "root=LABEL=root ro console=ttyS0 net.ifnames=0 systemd.show_status=true"
#: Else cloud-init asks one cloud after another, and sets a locale that the image does not have.
_SETTINGS = "datasource_list: [NoCloud, None]\nlocale: false\n"


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
        bootable.disk(draft, DISK, initrd="/initrd.img", words=_WORDS, mebibytes=_MEBIBYTES)

    recipe = "\n".join(
        (*command, pins.DEBIAN, _WORDS, _SETTINGS, bootable.RECIPE, str(_MEBIBYTES))
    )  # fmt: skip
    return Artefact("debian-image", recipe, build)
