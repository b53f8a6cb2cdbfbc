"""The root file system of a node that is a host of its own: Debian with systemd and containerd."""

from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "procps", "kmod", "iproute2", "iptables", "nftables",
    "containerd", "runc", "containernetworking-plugins",
)  # fmt: skip


def node_root() -> Artefact:
    """`root`: the tree; never written to, each node lays its own changes over it."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale")]
    command = ["mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(_PACKAGES)}"]

    def build(draft: Path) -> None:
        root = draft / "root"
        commands.run([*command, *excluded, pins.DEBIAN, root])
        # An empty one is filled in at every boot.
        (root / "etc" / "machine-id").write_text("", "ascii")
        for unit in ("containerd.service", "systemd-networkd.service"):
            (root / "etc" / "systemd" / "system" / unit).unlink(missing_ok=True)
            (root / "etc" / "systemd" / "system" / unit).symlink_to("/dev/null")

    return Artefact("node-root", " ".join([*command, *excluded, pins.DEBIAN]), build)
