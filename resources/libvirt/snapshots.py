"""Snapshots of domains of ours, kept inside their qcow2 volumes, memory too while they run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from resources.libvirt import ownership, parsing
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, AlreadyThere, NotFound
from resources.libvirt.records import Identity


@dataclass(frozen=True)
class Snapshot:
    """`state` is that of the domain at that time; `is_current`: what it has now grew out of it."""

    name: str
    description: str
    created: datetime
    state: str
    is_current: bool


def create(connection: Connection, identity: Identity, name: str, *, description: str = "") -> None:
    """Keep what the domain has now. Raises AlreadyThere for a name that is taken."""
    action = f"make the snapshot {name} of {identity.name}"
    found = _get(connection, identity, action)
    if _snapshot(connection, found, name, action) is not None:
        hint = "choose another name, or delete that snapshot"
        raise AlreadyThere(SYSTEM, action, "there is one of that name", hint=hint)
    root = ElementTree.Element("domainsnapshot")
    ElementTree.SubElement(root, "name").text = name
    ElementTree.SubElement(root, "description").text = description
    with connection.translated(action):
        found.snapshotCreateXML(ElementTree.tostring(root, "unicode"), 0)


def listed(connection: Connection, identity: Identity) -> tuple[Snapshot, ...]:
    """Those of a domain, oldest first."""
    action = f"list the snapshots of {identity.name}"
    found = _get(connection, identity, action)
    with connection.translated(action):
        all_of_it = [_read(each) for each in found.listAllSnapshots(0)]
    return tuple(sorted(all_of_it, key=lambda each: (each.created, each.name)))


def revert(connection: Connection, identity: Identity, name: str) -> None:
    """Have the domain as it was then, on or off; what came after is lost. Raises NotFound."""
    action = f"take {identity.name} back to the snapshot {name}"
    found = _get(connection, identity, action)
    wanted = _snapshot(connection, found, name, action)
    if wanted is None:
        hint = "`ai-how snapshot list` shows those that are there"
        raise NotFound(SYSTEM, action, "there is no such snapshot", hint=hint)
    with connection.translated(action):
        found.revertToSnapshot(wanted, 0)


def delete(connection: Connection, identity: Identity, name: str) -> bool:
    """Whether it was there; what the domain has now stays."""
    action = f"delete the snapshot {name} of {identity.name}"
    found = _get(connection, identity, action)
    unwanted = _snapshot(connection, found, name, action)
    if unwanted is None:
        return False
    with connection.translated(action):
        unwanted.delete(0)
    return True


def forget(connection: Connection, identity: Identity) -> None:
    """Drop libvirt's records of them, whose disk is gone."""
    action = f"forget the snapshots of {identity.name}"
    found = _get(connection, identity, action)
    flags = connection.libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
    with connection.translated(action):
        for each in found.listAllSnapshots(0):
            each.delete(0 if connection.is_test_driver else flags)


def _read(found: Any) -> Snapshot:
    root = parsing.element(found.getXMLDesc(0), "domainsnapshot")
    seconds = int(root.findtext("creationTime") or 0)
    return Snapshot(
        name=found.getName(),
        description=root.findtext("description") or "",
        created=datetime.fromtimestamp(seconds, UTC),
        state=root.findtext("state") or "",
        is_current=bool(found.isCurrent()),
    )


def _snapshot(connection: Connection, found: Any, name: str, action: str) -> Any:
    try:
        with connection.translated(action):
            return found.snapshotLookupByName(name, 0)
    except NotFound:
        return None


def _get(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().lookupByName
    return ownership.get(connection, lookup, action, "domain", identity)
