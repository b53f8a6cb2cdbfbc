"""What a machine is told when it boots: its name, who may log in, its directories; pure.

The instance has the digest of all that, so a machine that was told something else does it at its
next start, on the disk that it has; the same once more does nothing.
"""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloud_assets.machines.desired import Machine, Mount
from resources.libvirt import seed

#: Those of the image go once in the life of a disk. By itself cloud-init makes new ones for every
#: instance, and everybody who has logged in before would be told of an attack.
_HOST_KEYS: Mapping[str, Any] = {
    "ssh_deletekeys": False,
    "bootcmd": [
        ["cloud-init-per", "once", "ai-how-host-keys", "sh", "-c", "rm -f /etc/ssh/ssh_host_*"]
    ],
}


def told(machine: Machine, *, user: str, ssh_key: str) -> seed.Seed:
    """`ssh_key` is a line of a public key's file."""
    first = seed.Seed(
        hostname=machine.hostname,
        instance=machine.uuid,
        users=(seed.User(user, (ssh_key.strip(),)),),
        more={**_HOST_KEYS, **_directories(machine)},
    )
    return replace(first, instance=f"{machine.uuid}-{digest(first)}")


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
