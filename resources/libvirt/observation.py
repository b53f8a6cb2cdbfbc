"""Looking at a hypervisor: one frozen observation of all that is there, nothing changed.

What vanishes while we look is left out, as if we had come later.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from resources.libvirt import parsing
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import NotFound, Unsupported
from resources.libvirt.records import (
    Domain,
    Network,
    Observation,
    PciDevice,
    Pool,
    State,
    Volume,
    holds,
)

_STATES = tuple(State)
T = TypeVar("T")


def observe(connection: Connection) -> Observation:
    """Everything; about six questions a domain, so some milliseconds for twenty of them."""
    handle = connection.handle()
    with connection.translated("list its domains"):
        domains = those_there(connection, handle.listAllDomains(), _domain)
    with connection.translated("list its networks"):
        networks = those_there(connection, handle.listAllNetworks(), _network)
    with connection.translated("list its storage pools"):
        pools = those_there(connection, handle.listAllStoragePools(), _pool)
    return Observation(
        domains=tuple(sorted(domains, key=lambda each: each.name)),
        networks=tuple(sorted(networks, key=lambda each: each.identity.name)),
        pools=tuple(sorted(pools, key=lambda each: each.identity.name)),
        devices=pci_devices(connection),
    )


def version(connection: Connection) -> str:
    """Of libvirt, as 9.0.0."""
    with connection.translated("tell its version"):
        number = connection.handle().getLibVersion()
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def machines(connection: Connection) -> Observation:
    """Domains and devices alone, for which no file system is asked: a pool's may hang."""
    with connection.translated("list its domains"):
        found = those_there(connection, connection.handle().listAllDomains(), _domain)
    return Observation(
        domains=tuple(sorted(found, key=lambda each: each.name)), devices=pci_devices(connection)
    )


def pci_devices(connection: Connection) -> tuple[PciDevice, ...]:
    """The PCI devices of the machine by address; none where the driver knows of no devices."""
    wanted = connection.libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
    try:
        with connection.translated("list the machine's devices"):
            listed = connection.handle().listAllDevices(wanted)
    except Unsupported:
        return ()
    found = those_there(connection, listed, lambda _, each: parsing.pci_device(each.XMLDesc(0)))
    return tuple(sorted(found, key=lambda each: each.address))


def domain(connection: Connection, name: str) -> Domain | None:
    """One domain as it is now, whosever it is; None where there is none."""
    try:
        with connection.translated(f"look at {name}"):
            return _domain(connection, connection.handle().lookupByName(name))
    except NotFound:
        return None


def holder(connection: Connection, address: str) -> Domain | None:
    """Who has a PCI device (0000:01:00.0) now: the active domain that runs with it, or None."""
    with connection.translated(f"see who has {address}"):
        listed = connection.handle().listAllDomains(
            connection.libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        )
        found = those_there(connection, listed, _domain)
    return next((each for each in found if holds(each, address)), None)


def those_there(
    connection: Connection, listed: Iterable[Any], read: Callable[[Connection, Any], T]
) -> list[T]:
    """What `read` makes of each that is still there."""
    found = []
    for each in listed:
        with suppress(NotFound), connection.translated("look at what it listed"):
            found.append(read(connection, each))
    return found


def _domain(connection: Connection, found: Any) -> Domain:
    libvirt = connection.libvirt
    state, reason = found.state()
    live = found.XMLDesc(0)
    is_persistent = bool(found.isPersistent())
    configured = live
    if is_persistent:
        configured = found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    return Domain(
        state=_STATES[state] if state < len(_STATES) else State.NO_STATE,
        reason=reason,
        is_active=bool(found.isActive()),
        is_autostart=is_persistent and bool(found.autostart()),
        is_persistent=is_persistent,
        live=parsing.machine(live),
        configured=parsing.machine(configured),
        xml=live,
        configured_xml=configured,
    )


def _network(_: Connection, found: Any) -> Network:
    is_persistent = bool(found.isPersistent())
    return replace(
        parsing.network(found.XMLDesc(0)),
        is_active=bool(found.isActive()),
        is_persistent=is_persistent,
        is_autostart=is_persistent and bool(found.autostart()),
    )


def _pool(connection: Connection, found: Any) -> Pool:
    is_active = bool(found.isActive())
    described = parsing.pool(found.XMLDesc(0))
    volumes: list[Volume] = []
    if is_active:
        volumes = those_there(
            connection, found.listAllVolumes(),
            lambda _, each: parsing.volume(each.XMLDesc(0), pool=described.identity.name),
        )  # fmt: skip
    return replace(
        described,
        is_active=is_active,
        is_autostart=bool(found.isPersistent()) and bool(found.autostart()),
        volumes=tuple(sorted(volumes, key=lambda each: each.name)),
    )
