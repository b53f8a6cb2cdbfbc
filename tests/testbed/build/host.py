"""What the testbed needs of the machine: root, Linux namespaces, Go, and Debian's packages.

Packages are installed where a command is missing, never where it is there already.
"""

import os
import platform
import shutil
from pathlib import Path

from resources.errors import NeedsRepair, PermanentError
from tests.testbed.build import apt

_GO = (Path("/usr/local/go/bin"), Path("~/go/bin").expanduser(), Path("/usr/lib/go/bin"))
_CNI_BRIDGE = Path("/usr/lib/cni/bridge")
#: The package that brings each command.
_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
_ALTERNATIVE = "or point AI_HOW_TEST_KUBECONFIG at a cluster (kind, k3s, a real one)"


def prepare() -> None:
    """Have all that is needed, installing packages. Raises NeedsRepair with what is missing."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise _refusal("it is not Linux on x86_64", _ALTERNATIVE)
    if os.geteuid() != 0:
        raise _refusal("it needs root, for namespaces, mounts and cgroups", f"run it as root, "
                       f"{_ALTERNATIVE}")  # fmt: skip
    _put_on_path("/usr/sbin", "/sbin", *(str(each) for each in _GO))
    if shutil.which("go") is None:
        raise _refusal("Go is not installed", f"install Go 1.26 or newer, {_ALTERNATIVE}")
    packages = missing_packages()
    if packages:
        _install(packages)


def missing_packages() -> list[str]:
    """The Debian packages whose commands are not there."""
    missing = {package for name, package in _PACKAGES.items() if shutil.which(name) is None}
    if not _CNI_BRIDGE.exists():
        missing.add("containernetworking-plugins")
    return sorted(missing)


def _install(packages: list[str]) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise _refusal(f"commands of {names} are missing", f"install them, {_ALTERNATIVE}")
    try:
        apt.install(packages)
    except PermanentError as error:
        raise _refusal(error.reason, f"install {names}, {_ALTERNATIVE}") from error


def _put_on_path(*folders: str) -> None:
    known = os.environ.get("PATH", "").split(os.pathsep)
    more = [each for each in folders if each not in known and Path(each).is_dir()]
    os.environ["PATH"] = os.pathsep.join([*known, *more])


def _refusal(reason: str, hint: str) -> NeedsRepair:
    return NeedsRepair("the testbed", "start a cluster here", reason, hint=hint)
