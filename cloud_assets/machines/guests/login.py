"""How ssh is called for a machine, and how its host key is known; where it is, is `reach`'s.

Keys of hosts are kept under the machine's UUID and the moment when its disk was made: a machine
that was made anew is another host at the same address.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cloud_assets.machines.domain_xml import seed_name
from cloud_assets.settings.machines import Machines
from resources.libvirt import Connection, Domain, storage


@dataclass(frozen=True)
class Login:
    """Who logs in by which key; `jump` is the host in between where libvirt is on another one."""

    user: str
    key: Path
    known_hosts: Path
    jump: str = ""

    @classmethod
    def of(cls, settings: Machines, home: Path) -> "Login":
        """The private key beside the public one; without it the agent's, which the public names."""
        public = settings.ssh_public_key
        private = public.with_suffix("")
        key = private if public.suffix == ".pub" and private.exists() else public
        uri = urlsplit(settings.uri)
        jump = uri.netloc if uri.scheme.endswith("+ssh") else ""
        return cls(settings.ssh_user, key, home / "machines" / "known_hosts", jump)


def alias(connection: Connection, domain: Domain) -> str:
    """What the machine's host key is kept under."""
    seed = seed_name(domain.name)
    source = next((each.source for each in domain.configured.disks
                   if each.source.endswith(seed)), "")  # fmt: skip
    made = storage.written(connection, source) if source else ""
    return f"{domain.uuid}.{made}" if made else domain.uuid


def trust(login: Login, alias: str) -> list[str]:
    """The options by which a host key is taken at first sight, and held to from then on."""
    # A second word would be a second file, and `%` a token.
    known_hosts = str(login.known_hosts).replace("%", "%%")
    quoted = f'"{known_hosts}"' if " " in known_hosts else known_hosts
    words = (
        f"UserKnownHostsFile={quoted}",
        f"HostKeyAlias={alias}",
        "StrictHostKeyChecking=accept-new",
        "HashKnownHosts=no",
    )
    return [part for word in words for part in ("-o", word)]


def command(login: Login, *, address: str, alias: str, words: Sequence[str] = ()) -> list[str]:
    """The command line; `words` is what is run there, by the user's shell, instead of it."""
    found = ["ssh", "-i", str(login.key), "-o", "IdentitiesOnly=yes", *trust(login, alias)]
    # Else each new host key is told of.
    found += ["-o", "LogLevel=ERROR"]
    # A machine that was brought back, or starts its server anew, is away for a moment.
    found += ["-o", "ConnectionAttempts=3"]
    if login.jump:
        found += ["-J", login.jump]
    found.append(f"{login.user}@{address}")
    return [*found, "--", *words] if words else found


def variables(login: Login, alias: str) -> dict[str, str]:
    """The same for Ansible, of one host."""
    words = trust(login, alias)
    if login.jump:
        words += ["-o", f"ProxyJump={login.jump}"]
    return {"ansible_ssh_common_args": shlex.join(words)}
