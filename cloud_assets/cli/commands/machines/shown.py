"""How machines stand, for people and for programs: power, address, node, GPUs."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud_assets.cli import output
from cloud_assets.machines.applying import boot
from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.power.readiness import Readiness, readiness
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from resources.libvirt import Connection, Domain, Observation, observe

COLUMNS = ("machine", "role", "state", "address", "start", "node", "devices")
#: Whoever only looks waits no longer for a scheduler.
ANSWER_SECONDS = 3.0


def row(connection: Connection, domain: Domain) -> dict[str, Any]:
    """What is told of a machine in a list."""
    guest = boot.Guest.seen(domain)
    address = boot.readiness(connection, guest).address if domain.is_active else ""
    devices = [each.address or each.uuid for each in domain.configured.host_devices]
    return {
        "machine": domain.name,
        "cluster": (domain.configured.mark or {}).get("cluster", ""),
        "role": (domain.configured.mark or {}).get("role", ""),
        "state": str(domain.state),
        "address": address,
        "cpus": domain.live.vcpus,
        "memory": f"{domain.live.memory / 2**30:g} GiB",
        "start": "with the host" if domain.is_autostart else "",
        "devices": " ".join(devices),
        "uuid": domain.uuid,
    }


def look(cluster: Cluster, settings: Settings) -> Readiness:
    """What the cluster's scheduler says of its nodes, at once or not at all."""
    return readiness(cluster, Schedulers(settings, ANSWER_SECONDS))


def rows(
    connection: Connection, cluster: Cluster, seen: Observation, nodes: Readiness
) -> list[dict[str, Any]]:
    """Each machine of the file as libvirt and its scheduler have it."""
    return [_row(connection, each, seen, nodes) for each in cluster.machines]


def owners(machines: Sequence[Machine], seen: Observation) -> dict[str, str]:
    """The machine that has each of these machines' GPUs, "" where nobody has."""
    found = {gpu: seen.holder(gpu) for each in machines for gpu in each.gpus}
    return {gpu: holder.name if holder else "" for gpu, holder in found.items()}


def show(connection: Connection, cluster: Cluster, settings: Settings, *, as_json: bool) -> None:
    """The table of a cluster, below it its nodes and its GPUs in a line each."""
    seen, nodes = observe(connection), look(cluster, settings)
    output.records(COLUMNS, rows(connection, cluster, seen, nodes), as_json=as_json)
    if as_json:
        return
    if nodes.is_named:
        output.line(str(nodes))
    tell_gpus(owners(cluster.machines, seen))


def tell_gpus(found: Mapping[str, str]) -> None:
    """Who has each GPU."""
    for gpu, owner in found.items():
        output.line(f"GPU {gpu}: {owner or 'free'}")


def _row(
    connection: Connection, machine: Machine, seen: Observation, nodes: Readiness
) -> dict[str, Any]:
    found = seen.domain(machine.name)
    there = row(connection, found) if found else {"machine": machine.name, "state": "absent"}
    held = owners([machine], seen)
    return {
        **there,
        "role": machine.role,
        "start": "with the cluster" if machine.auto_start else "by hand",
        "auto_start": machine.auto_start,
        "node": nodes.nodes.get(machine.name, ""),
        "gpus": [{"gpu": gpu, "owner": owner} for gpu, owner in held.items()],
    }
