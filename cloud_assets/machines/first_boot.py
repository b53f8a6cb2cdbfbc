"""What a machine is told at its first boot: its name, who may log in, its directories; pure.

Later changes of it are for machines that boot for the first time, or again on a new disk.
"""

import hashlib
import shlex
from collections.abc import Mapping
from typing import Any

from cloud_assets.machines.desired import Machine, Mount
from resources.libvirt import seed


def told(machine: Machine, *, user: str, ssh_key: str) -> seed.Seed:
    """`ssh_key` is a line of a public key's file."""
    return seed.Seed(
        hostname=machine.hostname,
        instance=machine.uuid,
        users=(seed.User(user, (ssh_key.strip(),)),),
        more=_directories(machine),
    )


def digest(given: seed.Seed) -> str:
    """Of its files: another one where any of them differs."""
    files = "\0".join(f"{name}\0{text}" for name, text in sorted(seed.documents(given).items()))
    return hashlib.sha256(files.encode()).hexdigest()[:16]


def _directories(machine: Machine) -> Mapping[str, Any]:
    if not machine.mounts:
        return {}
    return {
        # A directory that the host does not give keeps no machine from booting.
        "mounts": [
            [each.tag, each.mount_point, "virtiofs", f"{each.options},nofail", "0", "0"]
            for each in machine.mounts
        ],
        "runcmd": [command for each in machine.mounts for command in _owned(each)],
    }


def _owned(mount: Mount) -> list[str]:
    """By the shell, since the owner may be of a package that comes later."""
    place = shlex.quote(mount.mount_point)
    owner = shlex.quote(f"{mount.owner}:{mount.group}")
    return [f"chown {owner} {place} || true", f"chmod {shlex.quote(mount.mode)} {place} || true"]
