"""Snapshots of machines, of one or of several under one name; a function an action.

A machine that is off keeps its disk, one that runs its memory too. A machine that runs with a
device or a directory of the host cannot: their state is not libvirt's to keep.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloud_assets.machines.applying import lifecycle
from resources.errors import ExternalError, NeedsRepair
from resources.libvirt import AlreadyThere, Connection, Domain, NotFound, parsing, snapshots

#: Called with each machine that is done.
Told = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """One snapshot; `state` is that of the machine then, `is_current` what it grew out of."""

    machine: str
    name: str
    state: str
    created: datetime
    is_current: bool
    description: str


def listed(connection: Connection, machines: Sequence[str]) -> tuple[Kept, ...]:
    """Those of each machine, oldest first."""
    return tuple(
        Kept(name, each.name, each.state, each.created, each.is_current, each.description)
        for name in machines
        for each in snapshots.listed(connection, lifecycle.found(connection, name).identity)
    )


def create(
    connection: Connection, machines: Sequence[str], name: str, *, description: str, told: Told
) -> None:
    """Keep all of them as they are, or none.

    Raises AlreadyThere where one has a snapshot of that name, and NeedsRepair where one runs with
    what cannot be kept; nothing is done then.
    """
    require_creatable(connection, machines, name)
    made: list[Domain] = []
    try:
        for domain in [lifecycle.found(connection, each) for each in machines]:
            snapshots.create(connection, domain.identity, name, description=description)
            made.append(domain)
            told(domain.name)
    except ExternalError:
        for domain in made:
            snapshots.delete(connection, domain.identity, name)
        raise


def revert(connection: Connection, machines: Sequence[str], name: str, *, told: Told) -> None:
    """Have all of them as they were, on or off. May be repeated after it was killed.

    Raises NotFound where one has no snapshot of that name; nothing is done then.
    """
    require_revertible(connection, machines, name)
    for each in machines:
        snapshots.revert(connection, lifecycle.found(connection, each).identity, name)
        told(each)


def delete(
    connection: Connection, machines: Sequence[str], name: str, *, told: Told
) -> tuple[str, ...]:
    """Forget them; the machines stay as they are now. Returns those that had one."""
    gone = []
    for each in machines:
        if snapshots.delete(connection, lifecycle.found(connection, each).identity, name):
            gone.append(each)
            told(each)
    return tuple(gone)


def require_creatable(connection: Connection, machines: Sequence[str], name: str) -> None:
    """Raises what `create` does before it does anything."""
    for each in machines:
        _require_keepable(lifecycle.found(connection, each))
    for kept in listed(connection, machines):
        if kept.name == name:
            raise AlreadyThere(
                "the host", f"keep {kept.machine} as it is",
                f"there is a snapshot {name} of it already",
                hint=f"choose another name, or `ai-how snapshot delete {kept.machine} {name}`",
            )  # fmt: skip


def require_revertible(connection: Connection, machines: Sequence[str], name: str) -> None:
    """Raises what `revert` does before it does anything."""
    have = {each.machine for each in listed(connection, machines) if each.name == name}
    lacking = [each for each in machines if each not in have]
    if lacking:
        raise NotFound(
            "the host", f"take {', '.join(machines)} back to {name}",
            f"there is no such snapshot of {', '.join(lacking)}",
            hint=f"`ai-how snapshot list {lacking[0]}` shows those that are there",
        )  # fmt: skip


def _require_keepable(domain: Domain) -> None:
    held = _held(domain)
    if domain.is_active and held:
        raise NeedsRepair(
            "the host", f"keep {domain.name} as it is",
            f"it runs with {', '.join(held)} of the host, and its memory cannot be kept with that",
            hint=f"`ai-how vm stop {domain.name}`: of a machine that is off the disk is kept",
        )  # fmt: skip


def _held(domain: Domain) -> list[str]:
    devices = [each.address or each.uuid for each in domain.live.host_devices]
    shared = parsing.element(domain.xml, "domain").findall("devices/filesystem/source")
    return devices + [found for each in shared if (found := each.get("dir", ""))]
