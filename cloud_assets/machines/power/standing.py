"""How a cluster and the whole system stand, in one word. Pure.

A machine that is left off until somebody starts it is as it should be while it is off.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from resources.libvirt import State


class Standing(StrEnum):
    """`mixed` is anything between stopped and running."""

    NOT_CONFIGURED = "not_configured"
    STOPPED = "stopped"
    RUNNING = "running"
    MIXED = "mixed"
    ERROR = "error"


@dataclass(frozen=True)
class Seen:
    """A machine of the file; `state` None where libvirt has none of that name."""

    auto_start: bool
    state: State | None
    crashed: bool = False

    @property
    def is_on(self) -> bool:
        return self.state in (State.RUNNING, State.BLOCKED)


def of_cluster(machines: Sequence[Seen]) -> Standing:
    """One that crashed is an error, whatever the others do."""
    if not machines:
        return Standing.NOT_CONFIGURED
    if any(each.crashed or each.state is State.CRASHED for each in machines):
        return Standing.ERROR
    if all(each.state in (None, State.OFF) for each in machines):
        return Standing.STOPPED
    if all(each.is_on for each in machines if each.auto_start):
        return Standing.RUNNING
    return Standing.MIXED


def of_system(clusters: Iterable[Standing]) -> Standing:
    """That of all clusters, where they agree."""
    found = set(clusters)
    if not found:
        return Standing.NOT_CONFIGURED
    if Standing.ERROR in found:
        return Standing.ERROR
    return found.pop() if len(found) == 1 else Standing.MIXED
