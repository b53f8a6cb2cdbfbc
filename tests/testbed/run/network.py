"""Addresses and routes: the link between host and cell, the bridge of the nodes.

All but the host's end of the link lies in the cell's network namespace and ends with it.
"""

import socket
import time
from collections.abc import Mapping
from pathlib import Path

from resources.errors import PermanentError
from tests.testbed import pins
from tests.testbed.build import commands

_UPLINK = "uplink"
BRIDGE = "nodes"
_PATIENCE_SECONDS = 30.0


def join_host(pid: int) -> None:
    """Link the host to the namespace of process `pid`, with routes to nodes, pods, Services."""
    remove_link()
    _ip("link", "add", pins.LINK, "type", "veth", "peer", "name", _UPLINK, "netns", str(pid))
    _ip("address", "add", f"{pins.HOST_ADDRESS}/30", "dev", pins.LINK)
    _ip("link", "set", pins.LINK, "up")
    for network in (pins.NODE_NETWORK, pins.POD_NETWORK, pins.SERVICE_NETWORK):
        _ip("route", "add", network, "via", pins.CELL_ADDRESS, "dev", pins.LINK)


def remove_link() -> None:
    """End the link and the routes over it; nothing to do where there is none."""
    _remove(pins.LINK)


def remove_host(name: str) -> None:
    """Inside the cell: take away what a dead host's link left, which else goes in its own time."""
    _remove(f"vb-{name}")


def _remove(link: str) -> None:
    if link not in _interfaces():
        return
    try:
        _ip("link", "delete", link)
    except PermanentError:
        # It goes by itself with the namespace at its other end, which may be just now.
        if link in _interfaces():
            raise


def prepare_cell(hosts: Mapping[str, str]) -> None:
    """Inside the cell: addresses, the bridge, forwarding.

    `hosts` has the network of the pods of each node beyond the first, by the node's address.
    """
    _ip("link", "set", "lo", "up")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _UPLINK not in _interfaces():
        if time.monotonic() > deadline:
            raise PermanentError("the testbed", "join the host's network", "no link came")
        time.sleep(0.02)
    _ip("address", "add", f"{pins.CELL_ADDRESS}/30", "dev", _UPLINK)
    _ip("link", "set", _UPLINK, "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    prefix = pins.NODE_NETWORK.partition("/")[2]
    _ip("address", "add", f"{pins.FIRST_NODE_ADDRESS}/{prefix}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    # A packet without a route is refused before kube-proxy's rules give it another aim.
    _ip("route", "add", pins.SERVICE_NETWORK, "dev", BRIDGE)
    # Whatever serves outside of the testbed cannot be reached, and says so at once.
    _ip("route", "add", "unreachable", "default")
    for address, pods in hosts.items():
        _ip("route", "add", pods, "via", address, "dev", BRIDGE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", "ascii")


def _ip(*arguments: str) -> None:
    commands.run(["ip", *arguments])


def _interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}
