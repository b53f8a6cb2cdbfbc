"""Waiting until a machine has booted: a lease, then its guest agent, then its SSH server.

That a domain runs says nothing: the hypervisor says so before the guest's first instruction.
"""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.desired import Machine
from resources.errors import DeadlineExceeded, ExternalError, NeedsRepair
from resources.libvirt import AgentSilent, Connection, State, Unsupported, guests, observation

_POLL_SECONDS = 0.5
_SSH_PORT, _SSH_SECONDS = 22, 2.0
_LINES = 10


@dataclass(frozen=True)
class Readiness:
    """How far a machine is: its address, "" for none, and who answers in it."""

    address: str = ""
    agent: bool = False
    ssh: bool = False

    @property
    def answers(self) -> bool:
        return self.agent or self.ssh


def readiness(connection: Connection, machine: Machine) -> Readiness:
    """As it is now. The test driver knows of no leases and runs no guests: nothing answers."""
    try:
        agent = guests.agent_answers(connection, machine.name)
        address = _address(connection, machine, agent=agent)
    except (AgentSilent, Unsupported):
        return Readiness(str(machine.ip or ""))
    return Readiness(address, agent, bool(address) and _has_ssh(address))


def wait(
    connection: Connection,
    machine: Machine,
    *,
    patience: float,
    needs_ssh: bool = False,
    told: Listener = nobody,
) -> Readiness:
    """Until its agent or its SSH server answers, or SSH where that is needed.

    Raises DeadlineExceeded with the last lines of its console; NeedsRepair where it went off.
    """
    began = time.monotonic()
    found, last = Readiness(), Readiness()
    while not (found.ssh if needs_ssh else found.answers):
        found = readiness(connection, machine)
        for step in _news(machine.name, last, found):
            told(step)
        last = found
        _require_on(connection, machine)
        if time.monotonic() - began > patience:
            raise _unheard(connection, machine, found, patience)
        time.sleep(_POLL_SECONDS)
    return found


def _news(name: str, before: Readiness, now: Readiness) -> Iterator[Step]:
    if now.address and not before.address:
        yield Step(name, "lease", now.address)
    if now.agent and not before.agent:
        yield Step(name, "agent")
    if now.ssh and not before.ssh:
        yield Step(name, "ssh", now.address)


def _address(connection: Connection, machine: Machine, *, agent: bool) -> str:
    leases = guests.leases(connection, machine.network)
    mine = [each.address for each in leases if each.mac == machine.mac]
    if mine or not agent:
        return next(iter(mine), "")
    told = guests.agent_addresses(connection, machine.name)
    own = [each.address for each in told if each.mac == machine.mac and ":" not in each.address]
    return next(iter(own), "")


def _has_ssh(address: str) -> bool:
    """Whether what listens there greets as an SSH server does."""
    try:
        with socket.create_connection((address, _SSH_PORT), timeout=_SSH_SECONDS) as opened:
            return opened.recv(4) == b"SSH-"
    except OSError:
        return False


def _require_on(connection: Connection, machine: Machine) -> None:
    found = observation.domain(connection, machine.name)
    if found is None or not found.is_active:
        state = State.OFF if found is None else found.state
        raise NeedsRepair(
            "the host", f"boot {machine.name}", f"it is {state} again",
            hint=_console(connection, machine.name),
        )  # fmt: skip


def _unheard(
    connection: Connection, machine: Machine, found: Readiness, patience: float
) -> DeadlineExceeded:
    reason = f"it asked for no address after {patience:g} s"
    if found.address:
        reason = f"SSH does not answer after {patience:g} s"
    return DeadlineExceeded(
        "the host", f"boot {machine.name}", reason, hint=_console(connection, machine.name)
    )


def _console(connection: Connection, name: str) -> str:
    try:
        last = guests.console_tail(connection, name, lines=_LINES)
    except ExternalError as error:
        return f"its console cannot be read: {error.reason}"
    return f"the end of its console:\n{last}" if last.strip() else "its console is empty"
