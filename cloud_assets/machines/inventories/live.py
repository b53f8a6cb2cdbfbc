"""Which machines of a cluster run now, and where: what an inventory is made of."""

from dataclasses import dataclass

from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.guests import login, reach
from cloud_assets.machines.guests.login import Login
from cloud_assets.machines.inventories.groups import Reached
from resources.errors import NeedsRepair
from resources.libvirt import Connection, Domain, observation


@dataclass(frozen=True)
class Look:
    """Those that run, and those that are off because the file has them so."""

    reached: tuple[Reached, ...]
    left_out: tuple[str, ...]


def look(connection: Connection, cluster: Cluster, user: Login) -> Look:
    """Raises NeedsRepair with all machines that should run and do not, or have no address."""
    reached, left_out, lacking = [], [], []
    for machine in cluster.machines:
        domain = _ours(connection, machine)
        address = reach.address(connection, domain) if domain is not None else ""
        if domain is not None and address:
            variables = login.variables(user, login.alias(connection, domain))
            reached.append(Reached(machine, address, variables))
        elif domain is None and not machine.auto_start:
            left_out.append(machine.name)
        else:
            lacking.append(f"{machine.name} {'has no address yet' if domain else 'does not run'}")
    if lacking:
        raise NeedsRepair(
            "the host", f"list the machines of {cluster.name}", ", ".join(lacking),
            hint=f"`ai-how {cluster.kind} start` starts them and waits until SSH answers",
        )  # fmt: skip
    return Look(tuple(reached), tuple(left_out))


def _ours(connection: Connection, machine: Machine) -> Domain | None:
    """The machine where it runs and is ours."""
    found = observation.domain(connection, machine.name)
    return found if found and found.is_active and found.uuid == machine.uuid else None
