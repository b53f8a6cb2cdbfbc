"""Services of this machine: whether libvirt listens here, and of which unit a process is."""

import os
import re
from pathlib import Path
from typing import Literal

ROOT = Path("/")
Access = Literal["there", "forbidden", "absent"]
#: The one of the monolithic daemon, and that of the daemon for QEMU alone.
_SOCKETS = ("libvirt-sock", "virtqemud-sock")
_UNIT = re.compile(r"/system\.slice/(?:.*/)?([^/]+\.service)$", re.MULTILINE)


def system_socket(root: Path = ROOT) -> Access:
    """Whether libvirt's system daemon can be reached by this user."""
    found = [root / "run/libvirt" / name for name in _SOCKETS]
    there = [each for each in found if each.exists()]
    if not there:
        return "absent"
    return "there" if any(os.access(each, os.W_OK) for each in there) else "forbidden"


def unit(pid: int, root: Path = ROOT) -> str:
    """The service of systemd that a process is of; "" where it is of none."""
    try:
        said = (root / "proc" / str(pid) / "cgroup").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = _UNIT.search(said)
    return found[1] if found else ""
