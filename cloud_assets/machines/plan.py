"""What has to change so that the host has what the file asks for; pure, the same for the same.

Each change says what, why, and the places that differ. What is not done by itself is `withheld`,
with the reason; how changes are made is `converge`'s business.
"""

from collections.abc import Iterator

from cloud_assets.machines import domain_xml, first_boot
from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.domain_xml import Kind, Placement
from cloud_assets.machines.planning import machines, removals, surroundings
from cloud_assets.machines.planning.change import (
    Action,
    Blueprint,
    Change,
    Options,
    Plan,
    Rendering,
    What,
)
from resources.libvirt import Observation

__all__ = [
    "Action",
    "Blueprint",
    "Change",
    "Options",
    "Plan",
    "Rendering",
    "What",
    "blueprints",
    "kind_of",
    "plan",
]


def plan(
    desired: Desired, observed: Observation, rendering: Rendering, options: Options | None = None
) -> Plan:
    """Every thing of the file's clusters has a change, if only `nothing`.

    Machines of clusters that the file does not name are not looked at.
    """
    chosen = options or Options()
    prints = blueprints(desired, rendering)
    changes: list[Change] = []
    taken: dict[str, str] = {}
    for cluster in desired.clusters:
        changes += surroundings.changes(cluster, observed)
        drawn = [prints[each.name] for each in cluster.machines]
        changes += machines.changes(drawn, observed, chosen, taken)
    changes += removals.changes(desired.clusters, observed, prune=chosen.prune)
    return Plan(tuple(changes), prints, desired.clusters)


def blueprints(desired: Desired, rendering: Rendering) -> dict[str, Blueprint]:
    """The documents of all machines by their names."""
    return {each.machine.name: each for each in _drawn(desired, rendering)}


def _drawn(desired: Desired, rendering: Rendering) -> Iterator[Blueprint]:
    cpus = domain_xml.pinned_cpus(desired.machines, rendering.host_cpus)
    for cluster in desired.clusters:
        for machine in cluster.machines:
            seed = first_boot.told(machine, user=rendering.user, ssh_key=rendering.ssh_key)
            told = rendering.seeds.get(machine.name) or first_boot.digest(seed)
            place = Placement(
                kind_of(machine, rendering), cluster.pool.path, told, cpus.get(machine.name, ())
            )
            yield Blueprint(machine, domain_xml.domain(machine, place), seed, told)


def kind_of(machine: Machine, rendering: Rendering) -> Kind:
    """What runs it: the settings' word, else that by which it runs already, else the verdict."""
    if machine.acceleration == "tcg":
        return "qemu"
    if machine.acceleration == "kvm":
        return "kvm"
    return rendering.kinds.get(machine.name, rendering.kind)
