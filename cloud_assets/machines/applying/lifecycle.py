"""Starting and stopping one machine of ours by its name, be it in the file or not."""

from collections.abc import Callable

from cloud_assets.machines.applying import boot
from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.gpus.allocation import Held, held
from resources.errors import DeadlineExceeded, NeedsRepair
from resources.libvirt import (
    Connection,
    DeviceInUse,
    Domain,
    NotFound,
    NotOurs,
    domains,
    observation,
    observe,
    pci_devices,
)

Stop = Callable[[Connection, str], bool]


def found(connection: Connection, name: str) -> Domain:
    """A machine of ours. Raises NotFound, and NotOurs for somebody else's."""
    domain = observation.domain(connection, name)
    if domain is None:
        ours = ", ".join(each.name for each in observe(connection).domains if is_ours(each))
        hint = (
            f"there are {ours}" if ours else "`ai-how hpc start` or `ai-how cloud start` makes them"
        )
        raise NotFound("the host", f"find {name}", "there is no such machine", hint=hint)
    if not is_ours(domain):
        reason = "it is not the platform's"
        raise NotOurs("the host", f"use {name}", reason, hint="use virsh for it")
    return domain


def is_ours(domain: Domain) -> bool:
    return domain.configured.mark is not None


def start(
    connection: Connection, name: str, *, patience: float | None, told: Listener = nobody
) -> bool:
    """Whether it had to be started; waits `patience` seconds until it answers, None does not.

    Raises NeedsRepair with who has a device of it, and how that is freed.
    """
    domain = found(connection, name)
    require_devices(connection, domain)
    told(Step(name, "start"))
    try:
        started = domains.start(connection, domain.identity)
    except DeviceInUse as error:
        raise _held(connection, name, error.device, error.holder) from error
    if patience is not None and not connection.is_test_driver:
        boot.wait(connection, boot.Guest.seen(found(connection, name)),
                  patience=patience, told=told)  # fmt: skip
    return started


def require_devices(connection: Connection, domain: Domain) -> None:
    """Raises NeedsRepair, as `start` does, where a machine that is off lacks a device of its."""
    if domain.is_active:
        return
    for each in domain.configured.host_devices:
        holder = observation.holder(connection, each.address) if each.address else None
        if holder is not None:
            raise _held(connection, domain.name, each.address, holder.name)


def stop(
    connection: Connection, name: str, *, patience: float, force: bool = False,
    told: Listener = nobody,
) -> bool:  # fmt: skip
    """Whether it was on. By its power button, and cut off after `patience`; by `force` at once."""
    identity = found(connection, name).identity
    told(Step(name, "stop"))
    if force:
        return domains.destroy(connection, identity)
    try:
        return domains.shutdown(connection, identity, timeout_seconds=patience)
    except DeadlineExceeded as error:
        told(Step(name, "stop", f"{error.reason}; cutting its power"))
        return domains.destroy(connection, identity)


def _held(connection: Connection, name: str, device: str, holder: str) -> NeedsRepair:
    other = observation.domain(connection, holder) if holder else None
    found = Held(device, holder)
    if other is not None:
        found = held(device, other, pci_devices(connection))
    return NeedsRepair("the host", f"start {name}", found.why, hint=found.hint(name))
