"""The network interfaces of this machine, and the IPv4 subnets that it has routes to."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class Route:
    """A subnet, and the interface that leads there; the default route is none of them."""

    interface: str
    subnet: IPv4Network


def interfaces(root: Path = ROOT) -> tuple[str, ...]:
    """Their names."""
    try:
        return tuple(sorted(each.name for each in (root / "sys/class/net").iterdir()))
    except OSError:
        return ()


def routes(root: Path = ROOT) -> tuple[Route, ...]:
    """Of the main table."""
    try:
        lines = (root / "proc/net/route").read_text("ascii", "replace").splitlines()[1:]
    except OSError:
        return ()
    return tuple(_routes(lines))


def _routes(lines: list[str]) -> Iterator[Route]:
    for line in lines:
        words = line.split()
        if len(words) < 8:
            continue
        subnet = IPv4Network(f"{_address(words[1])}/{_address(words[7])}", strict=False)
        if subnet.prefixlen:
            yield Route(words[0], subnet)


def _address(word: str) -> IPv4Address:
    """Of eight hexadecimal digits in this machine's order of bytes."""
    return IPv4Address(socket.inet_ntoa(struct.pack("=L", int(word, 16))))
