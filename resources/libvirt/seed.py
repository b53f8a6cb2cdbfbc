"""Seeds of cloud-init: a disk image with what a machine is told at its first boot (NoCloud).

The same words make the same bytes, so that a seed shows by comparison whether it has changed.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import yaml

from resources.errors import NeedsRepair

#: The volume that cloud-init looks for.
VOLUME = "cidata"
_SECTOR = 2048
_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR = 16, 255
_PRIMARY, _JOLIET = 1, 2
#: ECMA-119 8.4.26: a date that is not specified. 9.1.5: midnight of 2000-01-01, UTC.
_NO_DATE = b"0" * 16 + b"\0"
_A_DATE = bytes((100, 1, 1, 0, 0, 0, 0))
_DATES_AT, _DATES = 813, 4
_ROOT_AT, _DATE_AT = 156, 18


@dataclass(frozen=True)
class User:
    """Somebody who may log in by these public SSH keys, and by no password."""

    name: str
    ssh_keys: tuple[str, ...]
    groups: tuple[str, ...] = ()
    is_administrator: bool = True
    shell: str = "/bin/bash"


@dataclass(frozen=True)
class Seed:
    """`instance` names the life of a machine: with another one cloud-init does all again.

    `network` is a network configuration of version 2 without its `network:`, None for DHCP on all
    cards. `more` is merged into the user data: `packages`, `write_files`, `runcmd`, …
    """

    hostname: str
    instance: str
    users: Sequence[User]
    network: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def image(seed: Seed) -> bytes:
    """The bytes of the disk, to be attached as a CD or as a read-only virtio disk (raw)."""
    return disk(documents(seed))


def documents(seed: Seed) -> dict[str, str]:
    """The files of a seed by name."""
    meta = {"instance-id": seed.instance, "local-hostname": seed.hostname}
    user = {
        "hostname": seed.hostname,
        # Else the machine does not know its own name, which sudo waits for.
        "manage_etc_hosts": "localhost",
        "users": [_user(each) for each in seed.users],
        "ssh_pwauth": False,
        "disable_root": True,
        **seed.more,
    }
    files = {"meta-data": _yaml(meta), "user-data": "#cloud-config\n" + _yaml(user)}
    if seed.network is not None:
        files["network-config"] = _yaml({"version": 2, **seed.network})
    return files


def disk(files: Mapping[str, str]) -> bytes:
    """An ISO 9660 image with these files, under their names by Joliet.

    Raises NeedsRepair where pycdlib is not installed.
    """
    try:
        from pycdlib import PyCdlib
    except ImportError as error:
        raise NeedsRepair(
            "pycdlib", "write a seed", "the module `pycdlib` is not installed",
            hint="install the extra `hypervisor` (`make setup` does)",
        ) from error  # fmt: skip
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=VOLUME)
    for number, name in enumerate(sorted(files)):
        content = files[name].encode()
        iso.add_fp(BytesIO(content), len(content), f"/FILE{number}.;1", joliet_path=f"/{name}")
    written = BytesIO()
    iso.write_fp(written)
    iso.close()
    return _undated(bytearray(written.getvalue()))


def _user(given: User) -> dict[str, Any]:
    return {
        "name": given.name,
        "ssh_authorized_keys": list(given.ssh_keys),
        "lock_passwd": True,
        "shell": given.shell,
        **({"groups": list(given.groups)} if given.groups else {}),
        **({"sudo": "ALL=(ALL) NOPASSWD:ALL"} if given.is_administrator else {}),
    }


def _yaml(words: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(words), sort_keys=True, allow_unicode=True, width=1000))


def _undated(written: bytearray) -> bytes:
    """Without the time of writing, which pycdlib puts in and offers no way to choose."""
    for start in _descriptors(written):
        for number in range(_DATES):
            at = start + _DATES_AT + number * len(_NO_DATE)
            written[at : at + len(_NO_DATE)] = _NO_DATE
        for record in (start + _ROOT_AT, *_records(written, start + _ROOT_AT)):
            written[record + _DATE_AT : record + _DATE_AT + len(_A_DATE)] = _A_DATE
    return bytes(written)


def _descriptors(written: bytearray) -> Iterator[int]:
    start = _FIRST_DESCRIPTOR * _SECTOR
    while written[start] != _LAST_DESCRIPTOR:
        if written[start] in (_PRIMARY, _JOLIET):
            yield start
        start += _SECTOR


def _records(written: bytearray, root: int) -> Iterator[int]:
    """Where the records of the root directory are; ours has no other and fits in a sector."""
    (extent,) = struct.unpack_from("<I", written, root + 2)
    at = extent * _SECTOR
    while at < (extent + 1) * _SECTOR and written[at]:
        yield at
        at += written[at]
