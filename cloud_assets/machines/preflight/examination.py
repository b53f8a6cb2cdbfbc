"""All that a host must have for the clusters of a file, in the order of a repair. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.preflight import devices
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.machines.preflight.hypervisor import connection, hypervisor, key
from cloud_assets.machines.preflight.images import images
from cloud_assets.machines.preflight.networks import networks
from cloud_assets.machines.preflight.processor import processor
from cloud_assets.machines.preflight.room import room
from cloud_assets.settings.machines import Clusters, Machines


@dataclass(frozen=True)
class Starting:
    """`wanted` has the machines alone that are made or started; `names` are those that run then.

    `new` are those that are made, whose type of machine is not settled yet.
    """

    wanted: Desired
    names: frozenset[str]
    new: frozenset[str]

    @property
    def tried(self) -> tuple[Machine, ...]:
        """Those for which it matters whether KVM works; the others keep to what they run by."""
        return tuple(
            each for each in self.wanted.machines
            if each.acceleration == "kvm" or (each.acceleration == "auto" and each.name in self.new)
        )  # fmt: skip


def examine(
    clusters: Clusters, desired: Desired, host: Machines, facts: Facts
) -> Iterator[Finding]:
    """Without clusters what any would need."""
    yield connection(facts)
    yield from hypervisor(desired, facts)
    yield key(str(host.ssh_public_key), facts)
    yield from processor(desired.machines, facts)
    passed = devices.wanted(clusters)
    yield from devices.passthrough(passed, facts.devices)
    yield from (each.as_finding() for each in devices.rows(passed, facts.devices))
    if desired.machines:
        yield from room(desired, facts)
    yield from images(desired, facts)
    yield from networks(desired, facts)


def examine_start(
    clusters: Clusters, starting: Starting, host: Machines, facts: Facts
) -> Iterator[Finding]:
    """The same for some machines that are to be made or started now, and nothing of the others."""
    yield from hypervisor(starting.wanted, facts)
    yield key(str(host.ssh_public_key), facts)
    if starting.tried:
        yield from processor(starting.tried, facts)
    passed = devices.of(devices.wanted(clusters), starting.names)
    yield from devices.passthrough(passed, facts.devices)
    yield from (each.as_finding() for each in devices.rows(passed, facts.devices))
    yield from room(starting.wanted, facts)
    yield from images(starting.wanted, facts)
    yield from networks(starting.wanted, facts)


def remote(host: Machines, facts: Facts) -> Iterator[Finding]:
    """Of machines that are on another host than this one, which is all that is read."""
    yield connection(facts)
    yield key(str(host.ssh_public_key), facts)
