"""What virtual machines need of the machine that runs the tests: root, Debian's packages, bindings.

Packages are installed where something of them is missing, none of which starts a service.
"""

import importlib
import importlib.util
import os
import platform
import shutil
import sysconfig
from pathlib import Path

from resources.errors import NeedsRepair, PermanentError
from tests.testbed import pins
from tests.testbed.build import apt, commands
from tests.testbed.progress import step

_PACKAGES = {
    "busybox": "busybox-static",
    "dnsmasq": "dnsmasq-base",
    "extlinux": "extlinux",
    "gcc": "gcc",
    "ip": "iproute2",
    "iptables": "iptables",
    "libvirtd": "libvirt-daemon",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "pkg-config": "pkg-config",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "sfdisk": "fdisk",
    "ssh": "openssh-client",
}
_DRIVER = "libvirt/connection-driver/libvirt_driver_qemu.so"
_DRIVER_PACKAGE = "libvirt-daemon-driver-qemu"
#: What the bindings are compiled with.
_HEADERS = {
    "/usr/lib/*/pkgconfig/libvirt.pc": "libvirt-dev",
    "/usr/include/*/sys/types.h": "libc6-dev",
    f"{sysconfig.get_path('include')}/Python.h": "python3-dev",
}


def prepare() -> None:
    """Have all that is needed. Raises NeedsRepair with what is missing and how to get it."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise _refusal("it is not Linux on x86_64", "run the tests elsewhere")
    if os.geteuid() != 0:
        raise _refusal("libvirtd and its namespaces need root", "run the tests as root")
    packages = _missing()
    names = " ".join(packages)
    if packages and shutil.which("apt-get") is None:
        raise _refusal(f"parts of {names} are missing", f"install {names}")
    try:
        if packages:
            apt.install(packages)
        _have_bindings()
    except PermanentError as error:
        raise _refusal(error.reason, f"install {names or 'what it names'}") from error


def _missing() -> list[str]:
    missing = {package for name, package in _PACKAGES.items() if shutil.which(name) is None}
    if not _found(f"/usr/lib/*/{_DRIVER}"):
        missing.add(_DRIVER_PACKAGE)
    if not _has_bindings():
        missing |= {package for path, package in _HEADERS.items() if not _found(path)}
    return sorted(missing)


def _found(pattern: str) -> bool:
    return any(Path("/").glob(pattern.lstrip("/")))


def _has_bindings() -> bool:
    return importlib.util.find_spec("libvirt") is not None


def _have_bindings() -> None:
    if _has_bindings():
        return
    with step("building the libvirt bindings"):
        commands.run(["sh", "./setup.sh"], directory=pins.REPOSITORY)
    importlib.invalidate_caches()
    if not _has_bindings():
        raise PermanentError("setup.sh", "build the libvirt bindings", "no headers of Python")


def _refusal(reason: str, hint: str) -> NeedsRepair:
    return NeedsRepair("the test", "start virtual machines here", reason, hint=hint)
