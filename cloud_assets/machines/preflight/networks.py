"""Bridges and subnets of the clusters beside those that the host has already. Pure."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from cloud_assets.machines.desired import Cluster, Desired
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding, ill, slower, well
from resources.libvirt import Network

_CANDIDATES = tuple(IPv4Network(f"192.168.{each}.0/24") for each in range(100, 250))


def networks(desired: Desired, facts: Facts) -> Iterator[Finding]:
    """One finding a cluster, the first that stands in the way."""
    for cluster in desired.clusters:
        found = [*_bridge(cluster, facts), *_routes(cluster, facts), *_others(cluster, facts)]
        fine = f"{cluster.network.subnet} on {cluster.network.bridge}, both free or its own"
        yield found[0] if found else well(_what(cluster), fine)


def _what(cluster: Cluster) -> str:
    return f"network of {cluster.name}"


def _bridge(cluster: Cluster, facts: Facts) -> Iterator[Finding]:
    network = cluster.network
    known = facts.seen.networks if facts.seen else ()
    holder = next((each for each in known if each.bridge == network.bridge), None)
    fix = f"set clusters.{cluster.kind}.network.bridge to another, as in {_free_name(facts)}"
    if holder is not None and holder.identity.name != network.name:
        found = f"{network.bridge} is the bridge of libvirt's network {holder.identity.name}"
        yield ill(_what(cluster), found, fix)
    elif holder is None and facts.seen and network.bridge in facts.interfaces:
        yield ill(_what(cluster), f"the host has an interface {network.bridge}", fix)


def _routes(cluster: Cluster, facts: Facts) -> Iterator[Finding]:
    network = cluster.network
    for each in facts.routes:
        if each.interface != network.bridge and each.subnet.overlaps(network.subnet):
            found = f"{network.subnet} overlaps {each.subnet}, to which {each.interface} leads"
            yield ill(_what(cluster), found, _another_subnet(cluster, facts))


def _others(cluster: Cluster, facts: Facts) -> Iterator[Finding]:
    """Networks of libvirt that are off, for those that are on have a route."""
    for each in facts.seen.networks if facts.seen else ():
        is_own = each.identity.name == cluster.network.name
        if each.subnet and not is_own and _overlap(each.subnet, cluster.network.subnet):
            name = each.identity.name
            found = f"{cluster.network.subnet} is that of libvirt's network {name}, which is off"
            fix = f"`virsh net-undefine {name}`, or {_another_subnet(cluster, facts)}"
            yield slower(_what(cluster), found, fix)


def _overlap(said: str, subnet: IPv4Network) -> bool:
    return IPv4Network(said, strict=False).overlaps(subnet)


def _another_subnet(cluster: Cluster, facts: Facts) -> str:
    taken = [each.subnet for each in facts.routes]
    taken += [IPv4Network(each.subnet, strict=False) for each in _with_subnets(facts)]
    free = next((each for each in _CANDIDATES if not _meets(each, taken)), _CANDIDATES[-1])
    return (
        f"set clusters.{cluster.kind}.network.subnet and the addresses in it to another, as in "
        f"{free}"
    )


def _with_subnets(facts: Facts) -> Iterator[Network]:
    return (each for each in (facts.seen.networks if facts.seen else ()) if each.subnet)


def _meets(subnet: IPv4Network, taken: Iterable[IPv4Network]) -> bool:
    return any(subnet.overlaps(each) for each in taken)


def _free_name(facts: Facts) -> str:
    known = {each.bridge for each in facts.seen.networks} if facts.seen else set()
    taken = known | set(facts.interfaces)
    return next(name for n in range(100, 1000) if (name := f"virbr{n}") not in taken)
