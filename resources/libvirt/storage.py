"""Pools that are ours, and the volumes in them: overlays, small files; all may be asked for twice.

A pool with that name but another UUID is never touched: NotOurs is raised. Volumes are their
pool's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from xml.etree import ElementTree

from resources.errors import ExternalError
from resources.libvirt import ownership, parsing
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, AlreadyThere, NoRoom, NotFound, Unsupported
from resources.libvirt.api.objects import Outcome
from resources.libvirt.records import Identity, Volume


def define_pool(connection: Connection, xml: str) -> Outcome:
    """Have the pool as `xml` says, its directory made, started, and started with the hypervisor.

    Where an active pool lay elsewhere, it moves with its next start.
    """
    identity = parsing.identity(xml, "pool")
    action = f"define the pool {identity.name}"
    wanted = parsing.pool(xml)
    found = _find(connection, identity, action)
    outcome: Outcome = "created"
    with connection.translated(action):
        if found is not None:
            before = parsing.pool(found.XMLDesc(0))
            same = (before.kind, before.path) == (wanted.kind, wanted.path)
            outcome = "unchanged" if same else "changed"
        if outcome != "unchanged":
            found = connection.handle().storagePoolDefineXML(xml)
        if not found.isActive():
            found.build()
            found.create()
            outcome = "created" if outcome == "created" else "changed"
        if not found.autostart():
            found.setAutostart(1)
    return outcome


def undefine_pool(connection: Connection, identity: Identity) -> bool:
    """Stop and forget it; whether it was there. Its directory and all in it stays."""
    action = f"undefine the pool {identity.name}"
    found = _find(connection, identity, action)
    if found is None:
        return False
    with suppress(NotFound), connection.translated(action):
        if found.isActive():
            found.destroy()
        found.undefine()
    return True


def refresh(connection: Connection, pool: Identity) -> None:
    """Have libvirt look at the pool's directory, for files that others put there or removed."""
    action = f"refresh the pool {pool.name}"
    with connection.translated(action):
        _get(connection, pool, action).refresh()


def volume(connection: Connection, pool: Identity, name: str) -> Volume | None:
    """A volume as it is now, None where there is none."""
    action = f"look at the volume {name} of {pool.name}"
    found = _volume(connection, pool, name, action)
    if found is None:
        return None
    with connection.translated(action):
        return parsing.volume(found.XMLDesc(0), pool=pool.name)


def overlay(
    connection: Connection,
    pool: Identity,
    name: str,
    *,
    backing: str,
    capacity: int,
    backing_format: str = "qcow2",
) -> Outcome:
    """Have a qcow2 volume of `capacity` bytes whose unwritten blocks are those of a file.

    A smaller one grows. Raises AlreadyThere where it lies on another file: what was written to it
    is of no use there.
    """
    action = f"create the volume {name} of {pool.name}"
    found = volume(connection, pool, name)
    if found is None:
        below = {"path": backing, "format": backing_format}
        _create(connection, pool, _document(name, capacity, "qcow2", below), action)
        return "created"
    if found.backing != backing:
        reason = f"it is there and lies on {found.backing or 'no other file'}, not on {backing}"
        hint = "delete the volume, and with it what the machine has written, or keep its image"
        raise AlreadyThere(SYSTEM, action, reason, hint=hint)
    if found.capacity >= capacity:
        return "unchanged"
    with _room_told(connection, pool, f"resize the volume {name} of {pool.name}"):
        _volume(connection, pool, name, action).resize(capacity, 0)
    return "changed"


def upload(connection: Connection, pool: Identity, name: str, content: bytes) -> Outcome:
    """Have a raw volume with exactly these bytes, such as a seed; meant for some MiB.

    Another content replaces the file and not its bytes: a running domain keeps the one it opened.
    """
    action = f"write the volume {name} of {pool.name}"
    found = volume(connection, pool, name)
    is_as_long = found is not None and found.capacity == len(content)
    if is_as_long and download(connection, pool, name) == content:
        return "unchanged"
    delete_volume(connection, pool, name)
    created = _create(connection, pool, _document(name, len(content), "raw"), action)
    try:
        with _room_told(connection, pool, action):
            _send(connection, created, content)
    except Unsupported:
        raise
    except ExternalError:
        # Half a seed is none, and would be taken for one.
        with suppress(ExternalError):
            delete_volume(connection, pool, name)
        raise
    return "created" if found is None else "changed"


def download(connection: Connection, pool: Identity, name: str) -> bytes:
    """All bytes of a volume, into memory. Raises NotFound."""
    action = f"read the volume {name} of {pool.name}"
    found = _volume(connection, pool, name, action)
    if found is None:
        raise NotFound(SYSTEM, action, "there is no such volume")
    pieces: list[bytes] = []

    def take(_stream: object, piece: bytes, _context: object) -> int:
        pieces.append(piece)
        return len(piece)

    with connection.translated(action):
        stream = connection.handle().newStream(0)
        found.download(stream, 0, 0, 0)
        stream.recvAll(take, None)
        stream.finish()
    return b"".join(pieces)


def written(connection: Connection, path: str) -> str:
    """When a volume's file was last written, in seconds of the epoch; "" where nobody can tell."""
    try:
        with connection.translated(f"look at the volume {path}"):
            xml = connection.handle().storageVolLookupByPath(path).XMLDesc(0)
    except NotFound:
        return ""
    return parsing.element(xml, "volume").findtext("target/timestamps/mtime") or ""


def delete_volume(connection: Connection, pool: Identity, name: str) -> bool:
    """Remove it with its content; whether it was there."""
    action = f"delete the volume {name} of {pool.name}"
    found = _volume(connection, pool, name, action)
    if found is None:
        return False
    try:
        with connection.translated(action):
            found.delete(0)
    except NotFound:
        return False
    return True


def _create(connection: Connection, pool: Identity, xml: str, action: str) -> Any:
    with _room_told(connection, pool, action):
        return _get(connection, pool, action).createXML(xml, 0)


def _send(connection: Connection, created: Any, content: bytes) -> None:
    stream = connection.handle().newStream(0)
    created.upload(stream, 0, len(content), 0)
    position = 0

    def following(_stream: object, size: int, _context: object) -> bytes:
        nonlocal position
        piece = content[position : position + size]
        position += len(piece)
        return piece

    stream.sendAll(following, None)
    stream.finish()


@contextmanager
def _room_told(connection: Connection, pool: Identity, action: str) -> Iterator[None]:
    """Within, libvirt's errors are ours, and a full file system is told with what it has left."""
    try:
        with connection.translated(action):
            yield
    except NoRoom as full:
        refresh(connection, pool)
        with connection.translated(action):
            found = parsing.pool(_get(connection, pool, action).XMLDesc(0))
        reason = (
            f"{found.path} of the pool {pool.name} has no room for it: "
            f"{found.available >> 10} of {found.capacity >> 10} KiB are free"
        )
        hint = "free space there, or set machines.pool_root to a larger file system"
        raise NoRoom(SYSTEM, action, reason, hint=hint) from full


def _document(name: str, capacity: int, kind: str, backing: Mapping[str, str] | None = None) -> str:
    root = ElementTree.Element("volume")
    ElementTree.SubElement(root, "name").text = name
    ElementTree.SubElement(root, "capacity", unit="bytes").text = str(capacity)
    target = ElementTree.SubElement(root, "target")
    ElementTree.SubElement(target, "format", type=kind)
    if kind == "qcow2":
        # libvirt's default is the format of old, which cannot grow while it has snapshots.
        ElementTree.SubElement(target, "compat").text = "1.1"
    if backing:
        below = ElementTree.SubElement(root, "backingStore")
        ElementTree.SubElement(below, "path").text = backing["path"]
        ElementTree.SubElement(below, "format", type=backing["format"])
    return ElementTree.tostring(root, "unicode")


def _volume(connection: Connection, pool: Identity, name: str, action: str) -> Any:
    """None where the volume, or its pool, is not there."""
    found = _find(connection, pool, action)
    if found is None:
        return None
    try:
        with connection.translated(action):
            return found.storageVolLookupByName(name)
    except NotFound:
        return None


def _find(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().storagePoolLookupByName
    return ownership.find(connection, lookup, action, "pool", identity)


def _get(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().storagePoolLookupByName
    return ownership.get(connection, lookup, action, "pool", identity)
