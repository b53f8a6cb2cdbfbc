"""Free loopback ports, for whoever starts a server that cannot choose one itself."""

import socket


def free_ports(count: int) -> list[int]:
    """`count` different ports that were free a moment ago; another process may take one since."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
