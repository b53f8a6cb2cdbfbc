"""Finding a machine that runs, and the address at which it is reached; nothing is changed."""

from cloud_assets.machines.applying import boot, lifecycle
from cloud_assets.machines.applying.boot import Guest
from cloud_assets.machines.desired import Desired
from resources.errors import NeedsRepair
from resources.libvirt import (
    AgentSilent,
    Connection,
    Domain,
    NotFound,
    State,
    Unsupported,
    guests,
    networks,
)
from resources.libvirt.guests import Lease


def known(connection: Connection, name: str, desired: Desired) -> Domain:
    """A machine of ours, on or off. Raises NotFound with what makes it, and NotOurs."""
    try:
        return lifecycle.found(connection, name)
    except NotFound as error:
        kinds = {each.name: cluster.kind for cluster in desired.clusters
                 for each in cluster.machines}  # fmt: skip
        if name not in kinds:
            raise
        hint = f"`ai-how {kinds[name]} start` makes it"
        reason = "it is in the file, and was not made yet"
        raise NotFound("the host", f"find {name}", reason, hint=hint) from error


def running(connection: Connection, name: str, desired: Desired, *, action: str) -> Domain:
    """A machine of ours that runs. Raises NeedsRepair with the command that starts it."""
    found = known(connection, name, desired)
    hint = f"`ai-how vm start {name}` starts it"
    if not found.is_active:
        raise NeedsRepair("the host", action, "it is off", hint=hint)
    if found.state is State.PAUSED:
        raise NeedsRepair("the host", action, "it is paused", hint=hint)
    return found


def address(connection: Connection, domain: Domain) -> str:
    """By its lease, else what its agent tells, else what is kept for it; "" for none of them."""
    guest = boot.Guest.seen(domain)
    return (
        _leased(connection, guest)
        or _told(connection, guest, has_agent=domain.live.has_agent)
        or _kept(connection, guest)
    )


def _leased(connection: Connection, guest: Guest) -> str:
    """That which ends last: a guest that asked again has the newer one."""
    try:
        given = guests.leases(connection, guest.network)
    except (NotFound, Unsupported):
        return ""
    mine = [each for each in given if each.mac == guest.mac]
    return max(mine, key=_ends).address if mine else ""


def _ends(lease: Lease) -> float:
    return lease.expires.timestamp() if lease.expires else float("inf")


def _told(connection: Connection, guest: Guest, *, has_agent: bool) -> str:
    try:
        if not has_agent or not guests.agent_answers(connection, guest.name):
            return ""
        found = guests.agent_addresses(connection, guest.name)
    except (AgentSilent, Unsupported):
        return ""
    own = (each.address for each in found if each.mac == guest.mac and ":" not in each.address)
    return next(own, "")


def _kept(connection: Connection, guest: Guest) -> str:
    try:
        found = networks.reservations(connection, guest.network)
    except NotFound:
        return ""
    return next((each.address for each in found if each.mac == guest.mac), "")
