"""Networks of ours and the addresses that their DHCP servers keep; all may be asked for twice.

A network with that name but without our UUID and mark is never touched: NotOurs is raised.
"""

from contextlib import suppress
from functools import partial
from typing import Any
from xml.etree import ElementTree

from resources.libvirt import ownership, parsing
from resources.libvirt.api import objects
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import NotFound
from resources.libvirt.api.objects import Outcome
from resources.libvirt.records import Identity, Reservation


def define(connection: Connection, xml: str) -> Outcome:
    """Have the network as `xml` says; what is active changes with its next start.

    The XML has to have a name, a UUID, our mark and a bridge, which libvirt would otherwise name.
    """
    identity = parsing.identity(xml, "network")
    action = f"define the network {identity.name}"
    ownership.require_mark(xml, "network", action)
    found = _find(connection, identity, action)
    with connection.translated(action):
        before = _configured(connection, found)
        wanted = xml if before is None else _with_its_mac(xml, before)
        after = _configured(connection, connection.handle().networkDefineXML(wanted))
    return objects.outcome(before, after)


def reservations(connection: Connection, name: str) -> tuple[Reservation, ...]:
    """The addresses that a network keeps, whosever it is. Raises NotFound."""
    with connection.translated(f"look at the network {name}"):
        xml = connection.handle().networkLookupByName(name).XMLDesc(0)
    return parsing.network(xml).reservations


def set_autostart(connection: Connection, identity: Identity, wanted: bool) -> bool:
    """Whether that changed anything: the network starts with the hypervisor, or not."""
    action = f"set the autostart of the network {identity.name}"
    found = _get(connection, identity, action)
    return objects.set_autostart(connection, found, wanted, action)


def start(connection: Connection, identity: Identity) -> bool:
    """Whether it had to be started: its bridge made, its DHCP and DNS server run."""
    action = f"start the network {identity.name}"
    found = _get(connection, identity, action)
    return objects.start(connection, found, partial(_is_active, connection, found, action), action)


def reserve(connection: Connection, identity: Identity, wanted: Reservation) -> Outcome:
    """Keep an address for a MAC, now and for ever; a former one of that MAC goes.

    Raises AlreadyThere where the address or host name is kept for another MAC.
    """
    action = f"keep {wanted.address} for {wanted.mac} in the network {identity.name}"
    found = _get(connection, identity, action)
    libvirt = connection.libvirt
    with connection.translated(action):
        before = parsing.network(str(_configured(connection, found))).reservations
        known = next((each for each in before if each.mac == wanted.mac.lower()), None)
        if known == _lowered(wanted):
            return "unchanged"
        command = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
        if known is not None:
            command = libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY
        flags = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG
        if found.isActive():
            flags |= libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
        section = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
        found.update(command, section, -1, _host(wanted), flags)
    return "created" if known is None else "changed"


def undefine(connection: Connection, identity: Identity) -> bool:
    """Stop and forget it; whether it was there. Interfaces of running domains lose their bridge."""
    action = f"undefine the network {identity.name}"
    found = _find(connection, identity, action)
    if found is None:
        return False
    with suppress(NotFound):
        if _is_active(connection, found, action):
            with connection.translated(action):
                found.destroy()
        with connection.translated(action):
            found.undefine()
    return True


def _with_its_mac(xml: str, before: str) -> str:
    """libvirt invents one for the bridge at every definition that has none."""
    known = parsing.element(before, "network").find("mac")
    if known is None or parsing.element(xml, "network").find("mac") is not None:
        return xml
    head, end, _ = xml.rpartition("</network>")
    return f"{head}{ElementTree.tostring(known, 'unicode').strip()}{end}"


def _lowered(given: Reservation) -> Reservation:
    return Reservation(given.mac.lower(), given.address, given.hostname)


def _host(given: Reservation) -> str:
    named = {"name": given.hostname} if given.hostname else {}
    words = {"mac": given.mac.lower(), **named, "ip": given.address}
    return ElementTree.tostring(ElementTree.Element("host", words), "unicode")


def _find(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().networkLookupByName
    return ownership.find(connection, lookup, action, "network", identity)


def _get(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().networkLookupByName
    return ownership.get(connection, lookup, action, "network", identity)


def _configured(connection: Connection, found: Any) -> str | None:
    """The definition, which for an active network is not what it runs by."""
    if found is None:
        return None
    inactive = connection.libvirt.VIR_NETWORK_XML_INACTIVE
    return str(found.XMLDesc(0 if connection.is_test_driver else inactive))


def _is_active(connection: Connection, found: Any, action: str) -> bool:
    with connection.translated(action):
        return bool(found.isActive())
