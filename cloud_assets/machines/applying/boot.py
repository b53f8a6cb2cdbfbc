"""Waiting until a machine has booted: a lease, its guest agent, its SSH server, cloud-init's end.

That a domain runs says nothing: the hypervisor says so before the guest's first instruction.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from cloud_assets.machines.applying import cloud_init
from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.desired import Machine
from resources.errors import DeadlineExceeded, ExternalError, NeedsRepair, TransientError
from resources.libvirt import (
    AgentSilent,
    Connection,
    Domain,
    State,
    Unsupported,
    guests,
    observation,
)

_POLL_SECONDS = 0.5
_SSH_PORT, _SSH_SECONDS = 22, 2.0
_LINES = 10


@dataclass(frozen=True)
class Guest:
    """What a machine is reached by; `address` "" where none is kept for it."""

    name: str
    mac: str
    network: str
    address: str = ""

    @classmethod
    def of(cls, machine: Machine) -> "Guest":
        return cls(machine.name, machine.mac, machine.network, str(machine.ip or ""))

    @classmethod
    def seen(cls, domain: Domain) -> "Guest":
        """By its first card, whoever defined it."""
        card = next(iter(domain.live.interfaces), None)
        return cls(domain.name, card.mac if card else "", card.network if card else "")


@dataclass(frozen=True)
class Readiness:
    """How far a machine is: its address, "" for none, and who answers in it.

    `setup` is what its agent tells of cloud-init, None where nobody has asked it.
    """

    address: str = ""
    agent: bool = False
    ssh: bool = False
    setup: cloud_init.Progress | None = None

    @property
    def answers(self) -> bool:
        return self.agent or self.ssh

    @property
    def is_over(self) -> bool:
        """Whether cloud-init is; who has no agent cannot say that it is not."""
        return not self.agent or (self.setup is not None and self.setup.is_over)


def readiness(connection: Connection, guest: Guest) -> Readiness:
    """As it is now. The test driver knows of no leases and runs no guests: nothing answers."""
    try:
        agent = guests.agent_answers(connection, guest.name)
        address = _address(connection, guest, agent=agent)
    except (AgentSilent, Unsupported):
        return Readiness(guest.address)
    return Readiness(address, agent, bool(address) and _has_ssh(address))


def wait(
    connection: Connection,
    guest: Guest,
    *,
    patience: float,
    needs_ssh: bool = False,
    told: Listener = nobody,
) -> Readiness:
    """Until its agent or SSH answers, or SSH where that is needed, and cloud-init is over.

    Raises DeadlineExceeded with the last lines of its console; NeedsRepair where it went off, or
    where its address is another's. A hypervisor that starts anew meanwhile is waited for.
    """
    began = time.monotonic()
    last = Readiness()
    while True:
        found = last
        with suppress(TransientError):
            found = readiness(connection, guest)
            _require_on(connection, guest)
            _require_its_address(connection, guest, found)
            found = _as_it_says_itself(connection, guest, found, needs_ssh=needs_ssh)
        for step in _news(guest.name, last, found):
            told(step)
        if found.is_over and (found.ssh if needs_ssh else found.answers):
            return found
        last = found
        if time.monotonic() - began > patience:
            raise _unheard(connection, guest, found, patience)
        time.sleep(_POLL_SECONDS)


def _as_it_says_itself(
    connection: Connection, guest: Guest, found: Readiness, *, needs_ssh: bool
) -> Readiness:
    """With what its agent tells of cloud-init, once nothing else is waited for."""
    if not found.agent or (needs_ssh and not found.ssh):
        return found
    return replace(found, setup=cloud_init.progress(connection, guest.name))


def _news(name: str, before: Readiness, now: Readiness) -> Iterator[Step]:
    if now.address and not before.address:
        yield Step(name, "lease", now.address)
    if now.agent and not before.agent:
        yield Step(name, "agent")
    if now.ssh and not before.ssh:
        yield Step(name, "ssh", now.address)
    if now.setup and not before.setup:
        yield Step(name, "cloud-init")
    if now.setup:
        for each in now.setup.problems:
            yield Step(name, "cloud-init", f"has failed: {each}")


def _address(connection: Connection, guest: Guest, *, agent: bool) -> str:
    leases = guests.leases(connection, guest.network)
    mine = [each.address for each in leases if each.mac == guest.mac]
    if mine or not agent:
        return next(iter(mine), "")
    told = guests.agent_addresses(connection, guest.name)
    own = [each.address for each in told if each.mac == guest.mac and ":" not in each.address]
    return next(iter(own), "")


def _has_ssh(address: str) -> bool:
    """Whether what listens there greets as an SSH server does."""
    try:
        with socket.create_connection((address, _SSH_PORT), timeout=_SSH_SECONDS) as opened:
            return opened.recv(4) == b"SSH-"
    except OSError:
        return False


def _require_on(connection: Connection, guest: Guest) -> None:
    found = observation.domain(connection, guest.name)
    if found is None or not found.is_active:
        state = State.OFF if found is None else found.state
        raise NeedsRepair(
            "the host", f"boot {guest.name}", f"it is {state} again",
            hint=_console(connection, guest.name),
        )  # fmt: skip


def _require_its_address(connection: Connection, guest: Guest, found: Readiness) -> None:
    """A DHCP server keeps to a lease that it gave before the address was kept for this machine."""
    if not guest.address or found.address in ("", guest.address):
        return
    for each in guests.leases(connection, guest.network):
        if each.address == guest.address and each.mac != guest.mac:
            named = f" ({each.hostname})" if each.hostname else ""
            until = f", until {each.expires:%Y-%m-%d %H:%M:%S} UTC" if each.expires else ""
            raise NeedsRepair(
                "the host", f"boot {guest.name}",
                f"its address {guest.address} is leased to {each.mac}{named}{until}; "
                f"it got {found.address}",
                hint=f"shut down what has that card, and `ai-how vm restart {guest.name}` when the "
                "lease has ended",
            )  # fmt: skip


def _unheard(
    connection: Connection, guest: Guest, found: Readiness, patience: float
) -> DeadlineExceeded:
    reason = f"it asked for no address after {patience:g} s"
    if found.address:
        reason = f"SSH does not answer after {patience:g} s"
    if found.setup and not found.setup.is_over:
        reason = f"cloud-init is not over after {patience:g} s"
    return DeadlineExceeded(
        "the host", f"boot {guest.name}", reason, hint=_console(connection, guest.name)
    )


def _console(connection: Connection, name: str) -> str:
    try:
        last = guests.console_tail(connection, name, lines=_LINES)
    except ExternalError as error:
        return f"its console cannot be read: {error.reason}"
    return f"the end of its console:\n{last}" if last.strip() else "its console is empty"
