"""All that a host must have for the clusters of a file, in the order of a repair. Pure."""

from collections.abc import Iterator

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.preflight import devices
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.machines.preflight.hypervisor import connection, hypervisor, key
from cloud_assets.machines.preflight.images import images
from cloud_assets.machines.preflight.networks import networks
from cloud_assets.machines.preflight.processor import processor
from cloud_assets.machines.preflight.room import room
from cloud_assets.settings.machines import Clusters, Machines


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


def remote(host: Machines, facts: Facts) -> Iterator[Finding]:
    """Of machines that are on another host than this one, which is all that is read."""
    yield connection(facts)
    yield key(str(host.ssh_public_key), facts)
