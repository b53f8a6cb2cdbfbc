"""What is known of the inside of a domain: its addresses, its agent, the end of its console.

Reading is all that happens here, so domains of others may be asked for, too.
"""

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from resources.errors import NeedsRepair
from resources.libvirt import parsing
from resources.libvirt.api import bindings
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, NotFound

_TAIL_BYTES = 1 << 16
_POLL_SECONDS = 0.2
_AGENT_SECONDS = 5


@dataclass(frozen=True)
class Lease:
    """An address that a network's DHCP server gave; `expires` None for one that never does."""

    mac: str
    address: str
    hostname: str
    expires: datetime | None


@dataclass(frozen=True)
class GuestAddress:
    """An address that the guest itself tells through its agent, with the name it gives the card."""

    interface: str
    mac: str
    address: str
    prefix: int


def leases(connection: Connection, network: str) -> tuple[Lease, ...]:
    """The leases of a network by address. Raises NotFound, Unsupported on the test driver."""
    with connection.translated(f"read the leases of the network {network}"):
        given = connection.handle().networkLookupByName(network).DHCPLeases()
    return tuple(sorted(map(_lease, given or ()), key=lambda each: each.address))


def agent_addresses(connection: Connection, name: str) -> tuple[GuestAddress, ...]:
    """All addresses of the guest, loopback left out.

    Raises AgentSilent while the agent does not answer: the guest boots, hangs, or has none.
    """
    source = connection.libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    with connection.translated(f"ask the guest agent of {name}"):
        found = connection.handle().lookupByName(name).interfaceAddresses(source)
    return tuple(
        GuestAddress(card, (of.get("hwaddr") or "").lower(), each["addr"], int(each["prefix"]))
        for card, of in sorted((found or {}).items())
        for each in of.get("addrs") or ()
        if card != "lo"
    )


def agent_answers(connection: Connection, name: str) -> bool:
    """Whether the guest has come so far that its agent is connected."""
    with connection.translated(f"look at {name}"):
        xml = connection.handle().lookupByName(name).XMLDesc(0)
    channels = parsing.element(xml, "domain").findall("devices/channel/target")
    return any(
        each.get("name") == parsing.AGENT and each.get("state") == "connected" for each in channels
    )


def file(connection: Connection, name: str, path: str) -> str:
    """The first 64 KiB of a file in the guest, read by its agent.

    Raises NotFound, AgentSilent, and Unsupported where the agent may not read files.
    """
    with connection.translated(f"read {path} in {name}"):
        domain = connection.handle().lookupByName(name)
        opened = bindings.agent(
            domain, "guest-file-open", {"path": path, "mode": "r"}, seconds=_AGENT_SECONDS
        )
        try:
            found = bindings.agent(
                domain, "guest-file-read", {"handle": opened, "count": _TAIL_BYTES},
                seconds=_AGENT_SECONDS,
            )  # fmt: skip
        finally:
            bindings.agent(domain, "guest-file-close", {"handle": opened}, seconds=_AGENT_SECONDS)
    return base64.b64decode(found["buf-b64"]).decode("utf-8", "replace")


def console_tail(connection: Connection, name: str, *, lines: int = 20) -> str:
    """The last lines of the file to which the first serial port is written, at most 64 KiB.

    Raises NeedsRepair where the domain has no such file, or this machine or user cannot read it.
    """
    with _console_log(connection, name) as log:
        return _last(log, lines)


def console_lines(
    connection: Connection, name: str, *, lines: int, is_over: Callable[[], bool]
) -> Iterator[str]:
    """The last lines of that file, then what is added to it until `is_over`, in pieces.

    A machine that is started anew begins the file anew, which is read from its beginning then.
    """
    with _console_log(connection, name) as log:
        yield _last(log, lines) + "\n"
        while True:
            ended = is_over()
            if os.fstat(log.fileno()).st_size < log.tell():
                log.seek(0)
            added = log.read(_TAIL_BYTES)
            if added:
                yield added.decode("utf-8", "replace").replace("\r", "")
            elif ended:
                return
            else:
                time.sleep(_POLL_SECONDS)


@contextmanager
def _console_log(connection: Connection, name: str) -> Iterator[BinaryIO]:
    action = f"read the console of {name}"
    with connection.translated(action):
        xml = connection.handle().lookupByName(name).XMLDesc(0)
    path = parsing.machine(xml).console_log
    if not path:
        hint = "have `<log file=…/>` in its serial port"
        raise NeedsRepair(SYSTEM, action, "it is written to no file", hint=hint)
    try:
        with Path(path).open("rb") as log:
            yield log
    except FileNotFoundError as error:
        hint = "start the domain; on another machine read it there"
        raise NotFound(SYSTEM, action, f"there is no {path} here", hint=hint) from error
    except OSError as error:
        hint = f"let this user read {path}"
        raise NeedsRepair(SYSTEM, action, str(error), hint=hint) from error


def _last(log: BinaryIO, lines: int) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
    text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    return "\n".join(text.replace("\r", "").splitlines()[-lines:])


def _lease(found: Any) -> Lease:
    expires = int(found.get("expirytime") or 0)
    return Lease(
        mac=(found.get("mac") or "").lower(),
        address=found["ipaddr"],
        hostname=found.get("hostname") or "",
        expires=datetime.fromtimestamp(expires, UTC) if expires else None,
    )
