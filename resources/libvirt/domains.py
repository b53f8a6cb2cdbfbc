"""Domains of ours: define, start, shut down, destroy, undefine; all may be asked for twice.

A domain with that name but without our UUID and mark is never touched: NotOurs is raised.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from resources.errors import DeadlineExceeded, ExternalError, PermanentError
from resources.libvirt import ownership, parsing
from resources.libvirt.api import objects, processes
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, ImageInUse, NotFound
from resources.libvirt.api.objects import Outcome
from resources.libvirt.records import Identity, State

#: Called while waiting, with the seconds since the beginning and the state.
Progress = Callable[[float, State], None]

_POLL_SECONDS = 0.2
#: A guest that still boots does not hear the first press of its button.
_AGAIN_SECONDS = 5.0
_STATES = tuple(State)


def define(connection: Connection, xml: str) -> Outcome:
    """Have the domain as `xml` says; what runs changes with its next start.

    The XML has to have a name, a UUID, our mark, and the MACs of its interfaces, which libvirt
    would otherwise invent anew. Raises NotOurs, AlreadyThere for a UUID that is taken.
    """
    identity = parsing.identity(xml, "domain")
    action = f"define {identity.name}"
    ownership.require_mark(xml, "domain", action)
    found = _find(connection, identity, action)
    with connection.translated(action):
        before = _configured(connection, found)
        after = _configured(connection, connection.handle().defineXML(xml))
    return objects.outcome(before, after)


def set_autostart(connection: Connection, identity: Identity, wanted: bool) -> bool:
    """Whether that changed anything: the domain starts with the hypervisor, or not."""
    action = f"set the autostart of {identity.name}"
    found = _get(connection, identity, action)
    return objects.set_autostart(connection, found, wanted, action)


def start(connection: Connection, identity: Identity) -> bool:
    """Whether it had to be started, or resumed where it was paused; then its note is void.

    Raises DeviceInUse, which names the domain that has a device, GroupNotViable, and ImageInUse,
    which names the process that has a disk where that is on this machine.
    """
    action = f"start {identity.name}"
    found = _get(connection, identity, action)
    with connection.translated(action):
        if _state(found) is State.PAUSED:
            found.resume()
            return True
    is_active = partial(_is_active, connection, found, action)
    try:
        started = objects.start(connection, found, is_active, action)
    except ImageInUse as held:
        whose = processes.having_open(Path(held.path)) if held.path else ()
        raise ImageInUse(action, held.path, holders=whose) from held
    if started:
        _write_note(connection, found, None, action)
    return started


def note(connection: Connection, identity: Identity, words: Mapping[str, str] | None) -> None:
    """Keep words with a domain until it is started, or until None takes them away.

    `ownership.noted` reads them. Raises NotFound where there is none.
    """
    action = f"write a note to {identity.name}"
    _write_note(connection, _get(connection, identity, action), words, action)


def shutdown(
    connection: Connection,
    identity: Identity,
    *,
    timeout_seconds: float,
    progress: Progress | None = None,
) -> bool:
    """Press the power button (ACPI) and wait until it is off; whether it was on.

    Raises DeadlineExceeded when the guest does not react; it then still runs.
    """
    action = f"shut down {identity.name}"
    found = _find(connection, identity, action)
    if found is None or not _is_active(connection, found, action):
        return False
    began = pressed = time.monotonic()
    _press(connection, found, action)
    while _is_active(connection, found, action):
        now = time.monotonic()
        with suppress(NotFound), connection.translated(action):
            state = _state(found)
            if progress is not None:
                progress(now - began, state)
            if now - began > timeout_seconds:
                raise _unheard(identity, state, timeout_seconds)
        if now - pressed > _AGAIN_SECONDS:
            pressed = now
            _press(connection, found, action)
        time.sleep(_POLL_SECONDS)
    return True


def destroy(connection: Connection, identity: Identity) -> bool:
    """Cut its power; whether it was on. Gently first, so that its disks are written out."""
    action = f"destroy {identity.name}"
    found = _find(connection, identity, action)
    if found is None or not _is_active(connection, found, action):
        return False
    graceful = connection.libvirt.VIR_DOMAIN_DESTROY_GRACEFUL
    for flags in (graceful, 0):
        try:
            with connection.translated(action):
                found.destroyFlags(flags)
        except ExternalError:
            if not _is_active(connection, found, action):
                return True
            if not flags:
                raise
        else:
            return True
    return True


def undefine(connection: Connection, identity: Identity) -> bool:
    """Forget it with its saved state, NVRAM and the records of snapshots; whether it was there.

    Its volumes stay. Raises PermanentError while it is on: it would go on without a definition.
    """
    action = f"undefine {identity.name}"
    found = _find(connection, identity, action)
    if found is None:
        return False
    if _is_active(connection, found, action):
        hint = f"shut {identity.name} down first, or destroy it"
        raise PermanentError(SYSTEM, action, "it is on", hint=hint)
    try:
        with connection.translated(action):
            found.undefineFlags(_undefine_flags(connection))
    except NotFound:
        return False
    return True


def _undefine_flags(connection: Connection) -> int:
    libvirt = connection.libvirt
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if not connection.is_test_driver:
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    return int(flags)


def _write_note(
    connection: Connection, found: Any, words: Mapping[str, str] | None, action: str
) -> None:
    libvirt = connection.libvirt
    element = None
    if words is not None:
        element = ElementTree.tostring(ElementTree.Element("note", dict(words)), "unicode")
    with connection.translated(action):
        if not found.isPersistent():
            return
        if element is None and ownership.NOTE_NAMESPACE not in _configured_text(connection, found):
            return
        found.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, "ai-how-note", ownership.NOTE_NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )  # fmt: skip


def _press(connection: Connection, found: Any, action: str) -> None:
    acpi = connection.libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
    try:
        with connection.translated(action):
            # The agent, which libvirt would ask otherwise, may be dead and keep us waiting.
            found.shutdownFlags(0 if connection.is_test_driver else acpi)
    except ExternalError:
        if _is_active(connection, found, action):
            raise


def _unheard(identity: Identity, state: State, seconds: float) -> DeadlineExceeded:
    reason = f"it is {state} {seconds:g} s after its power button was pressed"
    hint = "see its console, or cut its power (`--force`)"
    return DeadlineExceeded(SYSTEM, f"shut down {identity.name}", reason, hint=hint)


def _find(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().lookupByName
    return ownership.find(connection, lookup, action, "domain", identity)


def _get(connection: Connection, identity: Identity, action: str) -> Any:
    lookup = connection.handle().lookupByName
    return ownership.get(connection, lookup, action, "domain", identity)


def _configured(connection: Connection, found: Any) -> str | None:
    return None if found is None else _configured_text(connection, found)


def _configured_text(connection: Connection, found: Any) -> str:
    return str(found.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE))


def _is_active(connection: Connection, found: Any, action: str) -> bool:
    """A transient domain is gone once it is off."""
    try:
        with connection.translated(action):
            return bool(found.isActive())
    except NotFound:
        return False


def _state(found: Any) -> State:
    number = found.state()[0]
    return _STATES[number] if number < len(_STATES) else State.NO_STATE
