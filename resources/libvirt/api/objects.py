"""What libvirt's domains and networks are asked for alike; whose they are is not known here."""

from collections.abc import Callable
from typing import Any, Literal

from resources.errors import ExternalError
from resources.libvirt.api.connection import Connection

Outcome = Literal["created", "changed", "unchanged"]


def outcome(before: str | None, after: str | None) -> Outcome:
    """What a definition came to, by the XML that libvirt had and has."""
    if before is None:
        return "created"
    return "unchanged" if before == after else "changed"


def set_autostart(connection: Connection, found: Any, wanted: bool, action: str) -> bool:
    """Whether that changed anything: it starts with the hypervisor, or not."""
    with connection.translated(action):
        if bool(found.autostart()) == wanted:
            return False
        found.setAutostart(int(wanted))
    return True


def start(connection: Connection, found: Any, is_active: Callable[[], bool], action: str) -> bool:
    """Whether it had to be started; somebody may be faster, which libvirt tells with several codes.

    Raises what `Connection.translated` makes of libvirt's errors.
    """
    if is_active():
        return False
    try:
        with connection.translated(action):
            found.create()
    except ExternalError:
        if not is_active():
            raise
        return False
    return True
