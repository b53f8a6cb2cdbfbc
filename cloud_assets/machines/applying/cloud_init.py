"""How far cloud-init is in a guest, as its agent reads it there; waiting for it is `boot`'s.

Until it is through, SSH may go once more: it starts anew when cloud-init has changed its settings.
"""

import json
from dataclasses import dataclass

from resources.libvirt import AgentSilent, Connection, NotFound, Unsupported, guests

#: Written by its systemd generator before any service starts, and when all is done: both of this
#: boot alone (cloud-init's documentation, "Boot stages" and "Failure states").
_BEGUN, _ENDED = "/run/cloud-init/enabled", "/run/cloud-init/result.json"


@dataclass(frozen=True)
class Progress:
    """`problems` is what cloud-init says has failed, once it is over."""

    is_over: bool
    problems: tuple[str, ...] = ()


def progress(connection: Connection, name: str) -> Progress:
    """Over, too, where there is no cloud-init, or the agent may not say."""
    try:
        if _read(connection, name, _BEGUN) is None:
            return Progress(is_over=True)
        result = _read(connection, name, _ENDED)
    except Unsupported:
        return Progress(is_over=True)
    except AgentSilent:
        return Progress(is_over=False)
    return Progress(result is not None, problems(result or ""))


def _read(connection: Connection, name: str, path: str) -> str | None:
    try:
        return guests.file(connection, name, path)
    except NotFound:
        return None


def problems(result: str) -> tuple[str, ...]:
    """Those of a `result.json`; what is something else tells of none."""
    try:
        found = json.loads(result)["v1"]["errors"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(map(str, found))
